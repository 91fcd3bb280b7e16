/* The native reader of rows: what `rows/tiers.py` does, in C.

   Contract. Each function takes what Python has already tested against every cap, and returns a result that is
   certainly what the plain Python reader would give, or None. None says nothing but "not sure": a byte that is
   not UTF-8, a marker that is missing, a type that is not known here. The plain reader then reads the same bytes
   again and words the error. So there is no text of an error here, no policy and no limit but the bounds of the
   frame. An exception that does come out (MemoryError, KeyboardInterrupt) is not about the bytes.

   Bounds. All reading goes through `Reader`: `at` is where reading goes on, `last` is where the marker must
   stand, and at <= last holds at all times. Nothing is read at `at` before `last - at` was compared with what is
   to be read; positions are only moved by amounts that were compared like this, so no sum can overflow. A blob's
   size is a 64-bit number of the peer's: it is compared with what is left before anything is added to it.

       | header of a row | values ...      | header | values ...      | marker |
         `at` moves from here -->                                     ^ last, 8 bytes before the end

   Memory. Nothing is allocated because a number in the frame says so: a tuple of `count` values is made only
   where at least 8 bytes of each are there, a text or blob of n bytes where these n bytes are.

   Ownership. The frame is a bytes object that the caller holds, so it neither changes nor goes away. Python code
   can run in the midst of reading: a finalizer, since making a tuple may start the garbage collector, a signal
   handler or another thread in `breathe`. None of them can reach what is read here: `rows` and `runs` belong to
   this call until it returns, and a tuple of types that is in use is held by `runs`, so that the cache of the
   module may change at any time.

   Rows hold only atoms (int, float, str, bytes, bool, None), so no cycle goes through them. They are taken out
   of the garbage collector's lists at once, which it would do itself at its first look at each of them. */

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

/* Of this file's contract with the loader; `dqlitewire.speedups` uses no file with another number. */
#define VERSION 1

/* What a value is encoded as, by its code; see `dqlitewire.values`. */
enum form { UNKNOWN = 0, INTEGER = 1, FLOAT = 2, TEXT = 3, BLOB = 4, NULL_ = 5, BOOLEAN = 11 };

/* Types of rows that are kept: a slot for each hash of a header, replaced when another header comes. */
#define SLOTS 256
#define WORDS_KEPT 16 /* of a header, that is 256 columns: wider ones are made anew */
#define ROWS_PER_BREATH 16384

typedef struct {
    uint64_t header[WORDS_KEPT];
    Py_ssize_t count;
    PyObject *types;
} Slot;

typedef struct {
    PyObject *members; /* tuple of 16: the ValueType of a code, or None */
    unsigned char forms[16];
    Slot slots[SLOTS];
} State;

typedef struct {
    State *state;
    const unsigned char *at;
    const unsigned char *last;
    Py_ssize_t count;     /* columns, at least one */
    Py_ssize_t width;     /* bytes of a row's header */
    uint64_t used;        /* the bits of a header's last word that mean something */
    Py_ssize_t number;    /* rows that were read */
    PyObject *rows;
    PyObject *runs;
} Reader;

/* What reading gives: it may go on, or it is in doubt, or an exception was raised. */
enum outcome { RAISED = -1, DOUBT = 0, FINE = 1 };

static inline uint64_t
word_at(const unsigned char *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

static inline size_t
left(const Reader *reader)
{
    return (size_t)(reader->last - reader->at);
}

/* ---- values: each returns a new reference; NULL without an exception is a doubt. */

static PyObject *
read_text(Reader *reader)
{
    const unsigned char *start = reader->at;
    const unsigned char *nul = memchr(start, 0, left(reader));
    if (nul == NULL)
        return NULL;
    size_t length = (size_t)(nul - start);
    size_t padded = (length + 8) & ~(size_t)7;
    if (padded > left(reader))
        return NULL;
    reader->at += padded;
    PyObject *text = PyUnicode_DecodeUTF8((const char *)start, (Py_ssize_t)length, NULL);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        PyErr_Clear();
    return text;
}

static PyObject *
read_blob(Reader *reader)
{
    if (left(reader) < 8)
        return NULL;
    uint64_t size = word_at(reader->at);
    if (size > left(reader) - 8)
        return NULL;
    size_t padded = ((size_t)size + 7) & ~(size_t)7;
    if (padded > left(reader) - 8)
        return NULL;
    const char *start = (const char *)reader->at + 8;
    reader->at += 8 + padded;
    return PyBytes_FromStringAndSize(start, (Py_ssize_t)size);
}

static inline PyObject *
new_reference(PyObject *object)
{
    Py_INCREF(object);
    return object;
}

static PyObject *
read_word(Reader *reader, unsigned char form)
{
    if (left(reader) < 8)
        return NULL;
    uint64_t word = word_at(reader->at);
    reader->at += 8;
    if (form == INTEGER)
        return PyLong_FromLongLong((long long)word);
    if (form == FLOAT) {
        double number;
        memcpy(&number, &word, sizeof number);
        return PyFloat_FromDouble(number);
    }
    if (form == NULL_)
        return new_reference(Py_None);
    if (form == BOOLEAN)
        return new_reference(word ? Py_True : Py_False);
    return NULL;
}

/* ---- rows */

static enum outcome
doubt_unless_raised(void)
{
    return PyErr_Occurred() ? RAISED : DOUBT;
}

static enum outcome
read_row(Reader *reader, const unsigned char *header)
{
    if (left(reader) / 8 < (size_t)reader->count)
        return DOUBT;
    PyObject *row = PyTuple_New(reader->count);
    if (row == NULL)
        return RAISED;
    PyObject_GC_UnTrack(row);
    const unsigned char *forms = reader->state->forms;
    uint64_t codes = 0;
    for (Py_ssize_t i = 0; i < reader->count; i++, codes >>= 4) {
        if ((i & 15) == 0)
            codes = word_at(header + i / 2);
        unsigned char form = forms[codes & 15];
        PyObject *value = form == TEXT   ? read_text(reader)
                          : form == BLOB ? read_blob(reader)
                                         : read_word(reader, form);
        if (value == NULL) {
            Py_DECREF(row);
            return doubt_unless_raised();
        }
        PyTuple_SetItem(row, i, value); /* cannot fail: the row is new, and i is within */
    }
    int failed = PyList_Append(reader->rows, row);
    Py_DECREF(row);
    reader->number++;
    return failed ? RAISED : FINE;
}

/* Tell whether a header that lies in the frame means the same types as another. */
static inline int
same_header(const Reader *reader, const unsigned char *a, const unsigned char *b)
{
    Py_ssize_t whole = reader->width - 8;
    return ((word_at(a + whole) ^ word_at(b + whole)) & reader->used) == 0 &&
           (whole == 0 || memcmp(a, b, (size_t)whole) == 0);
}

static PyObject *
make_types(const Reader *reader, const unsigned char *header)
{
    PyObject *types = PyTuple_New(reader->count);
    if (types == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < reader->count; i++) {
        int code = header[i / 2] >> (i & 1) * 4 & 15;
        if (reader->state->forms[code] == UNKNOWN) {
            Py_DECREF(types);
            return NULL;
        }
        PyObject *member = PyTuple_GetItem(reader->state->members, code);
        PyTuple_SetItem(types, i, new_reference(member));
    }
    return types;
}

/* Return the types of a header as a new reference; NULL without an exception is a doubt. */
static PyObject *
types_of(const Reader *reader, const unsigned char *header)
{
    Py_ssize_t words = reader->width / 8;
    if (words > WORDS_KEPT)
        return make_types(reader, header);
    uint64_t key[WORDS_KEPT];
    uint64_t hash = (uint64_t)reader->count;
    for (Py_ssize_t i = 0; i < words; i++) {
        key[i] = word_at(header + 8 * i) & (i == words - 1 ? reader->used : ~(uint64_t)0);
        hash = (hash ^ key[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    Slot *slot = &reader->state->slots[hash % SLOTS];
    size_t size = (size_t)words * sizeof *key;
    if (slot->types == NULL || slot->count != reader->count || memcmp(slot->header, key, size) != 0) {
        PyObject *types = make_types(reader, header);
        if (types == NULL)
            return NULL;
        PyObject *old = slot->types;
        memcpy(slot->header, key, size);
        slot->count = reader->count;
        slot->types = types;
        Py_XDECREF(old);
        return new_reference(types);
    }
    return new_reference(slot->types);
}

static enum outcome
begin_run(Reader *reader, const unsigned char *header)
{
    PyObject *types = types_of(reader, header);
    if (types == NULL)
        return doubt_unless_raised();
    PyObject *first = PyLong_FromSsize_t(reader->number);
    PyObject *run = first == NULL ? NULL : PyTuple_Pack(2, first, types);
    Py_XDECREF(first);
    Py_DECREF(types);
    int failed = run == NULL || PyList_Append(reader->runs, run);
    Py_XDECREF(run);
    return failed ? RAISED : FINE;
}

/* Let a signal handler run, and other threads, in a frame of many rows. */
static enum outcome
breathe(void)
{
    Py_BEGIN_ALLOW_THREADS
    Py_END_ALLOW_THREADS
    return PyErr_CheckSignals() ? RAISED : FINE;
}

static enum outcome
read_all(Reader *reader)
{
    const unsigned char *header = NULL;
    while (reader->at < reader->last) {
        if (left(reader) < (size_t)reader->width)
            return DOUBT;
        const unsigned char *following = reader->at;
        enum outcome outcome = FINE;
        if (header == NULL || !same_header(reader, header, following)) {
            header = following;
            outcome = begin_run(reader, header);
        }
        reader->at += reader->width;
        if (outcome == FINE)
            outcome = read_row(reader, header);
        if (outcome == FINE && reader->number % ROWS_PER_BREATH == 0)
            outcome = breathe();
        if (outcome != FINE)
            return outcome;
    }
    return FINE;
}

static PyObject *
read_between(Reader *reader)
{
    uint64_t marker = word_at(reader->last);
    int more = marker == 0xeeeeeeeeeeeeeeeeu;
    if (!more && marker != UINT64_MAX)
        return new_reference(Py_None);
    enum outcome outcome = read_all(reader);
    if (outcome == DOUBT)
        return new_reference(Py_None);
    return outcome == FINE ? PyTuple_Pack(3, reader->runs, reader->rows, more ? Py_True : Py_False) : NULL;
}

static PyObject *
read_rows(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 4) {
        PyErr_BadArgument();
        return NULL;
    }
    if (!PyBytes_CheckExact(args[0]))
        return new_reference(Py_None);
    Py_ssize_t size = PyBytes_Size(args[0]);
    Py_ssize_t pos = PyLong_AsSsize_t(args[1]);
    Py_ssize_t end = PyLong_AsSsize_t(args[2]);
    Py_ssize_t count = PyLong_AsSsize_t(args[3]);
    if (PyErr_Occurred())
        return NULL;
    if (pos < 0 || end > size || end - pos < 8 || count < 1 || count > (end - pos) / 8)
        return new_reference(Py_None);
    const unsigned char *data = (const unsigned char *)PyBytes_AsString(args[0]);
    Reader reader = {
        .state = PyModule_GetState(module),
        .at = data + pos,
        .last = data + end - 8,
        .count = count,
        .width = (count + 15) / 16 * 8,
        .used = count % 16 ? ((uint64_t)1 << count % 16 * 4) - 1 : ~(uint64_t)0,
        .rows = PyList_New(0),
        .runs = PyList_New(0),
    };
    PyObject *found = reader.rows && reader.runs ? read_between(&reader) : NULL;
    Py_XDECREF(reader.rows);
    Py_XDECREF(reader.runs);
    return found;
}

/* ---- the module */

static void
forget_types(State *state)
{
    for (int i = 0; i < SLOTS; i++)
        Py_CLEAR(state->slots[i].types);
}

static PyObject *
set_kinds(PyObject *module, PyObject *args)
{
    State *state = PyModule_GetState(module);
    PyObject *members;
    const unsigned char *forms;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "O!y#:set_kinds", &PyTuple_Type, &members, &forms, &size))
        return NULL;
    if (PyTuple_Size(members) < 16 || size < 16) {
        PyErr_BadArgument();
        return NULL;
    }
    forget_types(state);
    PyObject *old = state->members;
    state->members = new_reference(members);
    Py_XDECREF(old);
    for (int code = 0; code < 14; code++) { /* 14 and 15 begin markers */
        unsigned char form = forms[code];
        int known = (form >= INTEGER && form <= NULL_) || form == BOOLEAN;
        state->forms[code] = known ? form : UNKNOWN;
    }
    return new_reference(Py_None);
}

static int
execute(PyObject *module)
{
    return PyModule_AddIntConstant(module, "VERSION", VERSION);
}

static int
traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    if (state == NULL)
        return 0;
    Py_VISIT(state->members);
    for (int i = 0; i < SLOTS; i++)
        Py_VISIT(state->slots[i].types);
    return 0;
}

static int
clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    if (state == NULL)
        return 0;
    forget_types(state);
    memset(state->forms, UNKNOWN, sizeof state->forms);
    Py_CLEAR(state->members);
    return 0;
}

static void
release(void *module)
{
    clear(module);
}

static PyMethodDef methods[] = {
    {"read_rows", (PyCFunction)(void (*)(void))read_rows, METH_FASTCALL,
     "read_rows(frame, pos, end, count) -> (runs, rows, more) or None"},
    {"set_kinds", set_kinds, METH_VARARGS, "set_kinds(types_by_code, encoded_as)"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "dqlitewire._speedups",
    .m_doc = "The native reader and writer of rows; see dqlitewire.speedups.",
    .m_size = sizeof(State),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = release,
};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    return PyModuleDef_Init(&definition);
}
