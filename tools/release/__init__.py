"""What a release is made of: `python -m tools.release wheels`, `python -m tools.release dist`.

    tree --copy--> sdist --normal--> unpacked --build--> wheel for any platform --normal-->
                                             `--build--> wheel with the module --auditwheel, normal-->

Everything is made from the sdist, as an index would hand it out, and the sdist from a copy of the files that
git keeps. An archive is packed anew (`normal`), since what build tools write carries traces of the machine:
the time of the build, the owner, the umask, the order of a folder. `making` makes the three files, in
surroundings that it is given. `inside` says what must and must not be in each. `trying` installs them into
environments of their own and runs there what a user would (`tests/consumer`), outside of the tree.
"""
