"""What servers do: releases, what kills them, what they refuse and what their failures mean."""
