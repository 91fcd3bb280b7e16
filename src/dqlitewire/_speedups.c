/* The native reader and writer of rows and parameters: what the fast ones of `rows/` do, in C.

   Contract. A reader takes what Python has already tested against every cap. Each function returns what is
   certainly the result of the plain Python reader or writer, or None. None says nothing but "not sure": a byte
   that is not UTF-8, a marker that is missing, a type that is not known here, an integer that is out of range. The
   same is then done again in Python, which words the error if there is one. So there is no text of an error here,
   no policy and no limit but the bounds of the frame. An exception that does come out (MemoryError,
   KeyboardInterrupt) is not about the bytes or values. `alike` makes nothing: it tells whether the items of a list
   are one object or of one type, which Python asks of the rows and types of a message that is built.

   Bounds. All reading goes through `Reader`: `at` is where reading goes on, `last` is where the marker must
   stand, and at <= last holds at all times. Nothing is read at `at` before `last - at` was compared with what is
   to be read; positions are only moved by amounts that were compared like this, so no sum can overflow. A blob's
   size is a 64-bit number of the peer's: it is compared with what is left before anything is added to it.

       | header of a row | values ...      | header | values ...      | marker |
         `at` moves from here -->                                     ^ last, 8 bytes before the end

   Memory. Nothing is allocated because a number in the frame says so: a tuple of `count` values is made only
   where at least 8 bytes of each are there, a text or blob of n bytes where these n bytes are.

   Ownership. The frame is a bytes object that the caller holds, or lies in a bytearray that cannot be resized
   while its buffer is taken, so it neither moves nor goes away. Python code can run in the midst of reading: a
   finalizer, since making a tuple may start the garbage collector, a signal handler or another thread in
   `breathe`, or a handler that replaces codecs' "strict", called for text that is not UTF-8. None of them can
   free what is read here: a row belongs to this call until it is whole, and the codes of a row are read from its
   header, so that the cache of the module may change at any time. Such a handler can also run while a text is
   measured or written, and change the lists that are written from. So each item of a list is looked up anew
   (`item_of`), and a row or text that is in use is held; what comes of such a change is a doubt.

   Rows hold only atoms (int, float, str, bytes, bool, None), so no cycle goes through them. They are taken out
   of the garbage collector's lists at once, which it would do itself at its first look at each of them. */

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

/* Of this file's contract with the loader; `dqlitewire.speedups` uses no file with another number. */
#define VERSION 2

/* What a value is encoded as, by its code; see `dqlitewire.values`. */
enum form { UNKNOWN = 0, INTEGER = 1, FLOAT = 2, TEXT = 3, BLOB = 4, NULL_ = 5, BOOLEAN = 11 };

/* Types of rows that are kept, found by their header: as many as there are slots, in sets of those with one hash.
   Rows of more than 256 columns have theirs made anew, as the tiers do. */
#define SETS 64
#define WAYS 4
#define WORDS_KEPT 16 /* of a header */
#define BREATH ((size_t)1 << 20) /* bytes that are read, in one to three milliseconds, before others may run */
#define ROWS "\7\0" /* type and schema, in the header of a frame */
#define SHORT_TEXT 256 /* characters of a text that may keep its UTF-8 */

typedef struct {
    uint64_t header[WORDS_KEPT];
    Py_ssize_t count;
    PyObject *types;
} Slot;

typedef struct {
    PyObject *kept;       /* tuple of the following */
    PyObject *member[16]; /* the ValueType of a code, or None */
    unsigned char forms[16];
    Slot slots[SETS][WAYS];
    unsigned char turn[SETS]; /* which slot of a full set is next to be given up, the oldest */
} State;

typedef struct {
    State *state;
    const unsigned char *at;
    const unsigned char *last;
    Py_ssize_t count;     /* columns, at least one */
    Py_ssize_t width;     /* bytes of a row's header */
    size_t smallest;      /* bytes of a row at the least: its header, and a word a column */
    uint64_t used;        /* the bits of a header's last word that mean something */
    Py_ssize_t number;    /* rows that were read */
    size_t rest;          /* bytes that are left when the next breath is due */
    PyObject *rows;
    PyObject *runs;
} Reader;

/* What reading gives: it may go on, or not. Then an exception tells that something failed, and none is a doubt. */
enum outcome { STOP = 0, FINE = 1 };

/* A word of the frame, which is little-endian, as one of this machine, and the other way round. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LITTLE_ENDIAN_WORD(word) __builtin_bswap64(word)
#else
#define LITTLE_ENDIAN_WORD(word) (word)
#endif

static inline uint64_t
word_at(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return LITTLE_ENDIAN_WORD(word);
}

static inline void
store_word(unsigned char *at, uint64_t word)
{
    word = LITTLE_ENDIAN_WORD(word);
    memcpy(at, &word, sizeof word);
}

static inline size_t
left(const Reader *reader)
{
    return (size_t)(reader->last - reader->at);
}

static inline PyObject *
new_reference(PyObject *object)
{
#if PY_VERSION_HEX < 0x030c0000
    /* What headers of 3.11 inline counts up None and the like, which later Pythons never count down; from 3.14 on
       the count would run over after 2^30 of them. The function is that of the Python which runs. */
    Py_IncRef(object);
#else
    Py_INCREF(object);
#endif
    return object;
}

/* Give a reference back to what may never be counted, as small numbers and some texts. */
static inline void
drop_reference(PyObject *object)
{
#if PY_VERSION_HEX < 0x030c0000
    Py_DecRef(object);
#else
    Py_XDECREF(object);
#endif
}

/* Return None for a doubt, NULL where an exception was raised. */
static PyObject *
none_unless_raised(void)
{
    return PyErr_Occurred() ? NULL : new_reference(Py_None);
}

/* Make a doubt of the exception for text that is not UTF-8, or has none, where it was raised: a signal handler may
   raise one like it. */
static void
doubt_text(void)
{
    if (PyErr_ExceptionMatches(PyExc_UnicodeError))
        PyErr_Clear();
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
    if (text == NULL)
        doubt_text();
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
read_row(Reader *reader, const unsigned char *header)
{
    PyObject *row = PyTuple_New(reader->count);
    if (row == NULL)
        return STOP;
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
            return STOP;
        }
        PyTuple_SetItem(row, i, value); /* cannot fail: the row is new, and i is within */
    }
    int failed = PyList_Append(reader->rows, row);
    Py_DECREF(row);
    reader->number++;
    return failed ? STOP : FINE;
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
        PyObject *member = reader->state->member[code];
        PyTuple_SetItem(types, i, new_reference(member));
    }
    return types;
}

static int
holds(const Slot *slot, const uint64_t *key, size_t words, Py_ssize_t count)
{
    return slot->types != NULL && slot->count == count && memcmp(slot->header, key, words * sizeof *key) == 0;
}

/* Return the slot that has these types, or the one that is to have them: an empty one, else each of the set in
   its turn. */
static Slot *
slot_of(State *state, const uint64_t *key, size_t words, Py_ssize_t count)
{
    uint64_t hash = (uint64_t)count;
    for (size_t i = 0; i < words; i++) {
        hash = (hash ^ key[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    size_t number = hash % SETS;
    Slot *set = state->slots[number];
    Slot *empty = NULL;
    for (int way = 0; way < WAYS; way++) {
        if (holds(&set[way], key, words, count))
            return &set[way];
        if (set[way].types == NULL)
            empty = &set[way];
    }
    return empty != NULL ? empty : &set[state->turn[number]++ % WAYS];
}

/* Return the types of a header as a new reference; NULL without an exception is a doubt. */
static PyObject *
types_of(const Reader *reader, const unsigned char *header)
{
    size_t words = (size_t)reader->width / 8;
    if (words > WORDS_KEPT)
        return make_types(reader, header);
    uint64_t key[WORDS_KEPT];
    for (size_t i = 0; i < words; i++)
        key[i] = word_at(header + 8 * i);
    key[words - 1] &= reader->used;
    Slot *slot = slot_of(reader->state, key, words, reader->count);
    if (holds(slot, key, words, reader->count))
        return new_reference(slot->types);
    PyObject *types = make_types(reader, header); /* in which other code may run, and change what is kept */
    if (types == NULL)
        return NULL;
    PyObject *old = slot->types;
    memcpy(slot->header, key, words * sizeof *key);
    slot->count = reader->count;
    slot->types = new_reference(types);
    Py_XDECREF(old);
    return types;
}

static enum outcome
begin_run(Reader *reader, const unsigned char *header)
{
    PyObject *types = types_of(reader, header);
    if (types == NULL)
        return STOP;
    PyObject *first = PyLong_FromSsize_t(reader->number);
    PyObject *run = first == NULL ? NULL : PyTuple_Pack(2, first, types);
    drop_reference(first);
    Py_DECREF(types);
    int failed = run == NULL || PyList_Append(reader->runs, run);
    Py_XDECREF(run);
    return failed ? STOP : FINE;
}

/* Let a signal handler run, and other threads, in a frame of many rows. */
static enum outcome
breathe(Reader *reader)
{
    reader->rest = left(reader) > BREATH ? left(reader) - BREATH : 0;
    Py_BEGIN_ALLOW_THREADS
    Py_END_ALLOW_THREADS
    return PyErr_CheckSignals() ? STOP : FINE;
}

static enum outcome
read_all(Reader *reader)
{
    const unsigned char *header = NULL;
    while (reader->at < reader->last) {
        if (left(reader) < reader->smallest)
            return STOP;
        const unsigned char *following = reader->at;
        enum outcome outcome = FINE;
        if (header == NULL || !same_header(reader, header, following)) {
            header = following;
            outcome = begin_run(reader, header);
        }
        reader->at += reader->width;
        if (outcome == FINE)
            outcome = read_row(reader, header);
        if (outcome == FINE && left(reader) < reader->rest)
            outcome = breathe(reader);
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
    if (read_all(reader) != FINE)
        return none_unless_raised();
    return PyTuple_Pack(3, reader->runs, reader->rows, more ? Py_True : Py_False);
}

/* Read rows and the marker behind them, which take all of these bytes. */
static PyObject *
read_body(State *state, const unsigned char *data, Py_ssize_t size, Py_ssize_t count)
{
    if (size < 8 || count < 1 || count > PY_SSIZE_T_MAX / 16)
        return new_reference(Py_None);
    Reader reader = {
        .state = state,
        .at = data,
        .last = data + size - 8,
        .count = count,
        .width = (count + 15) / 16 * 8,
        .smallest = (size_t)((count + 15) / 16 * 8 + count * 8),
        .used = count % 16 ? ((uint64_t)1 << count % 16 * 4) - 1 : ~(uint64_t)0,
        .rest = (size_t)size > BREATH ? (size_t)size - BREATH : 0,
        .rows = PyList_New(0),
        .runs = PyList_New(0),
    };
    PyObject *found = reader.rows && reader.runs ? read_between(&reader) : NULL;
    Py_XDECREF(reader.rows);
    Py_XDECREF(reader.runs);
    return found;
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
    if (pos < 0 || end < pos || end > size)
        return new_reference(Py_None);
    const unsigned char *data = (const unsigned char *)PyBytes_AsString(args[0]);
    return read_body(PyModule_GetState(module), data + pos, end - pos, count);
}

/* Read the next frame of a row stream where it lies, if it is one of ROWS with the column names that came before. */
static PyObject *
read_part(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 4) {
        PyErr_BadArgument();
        return NULL;
    }
    if (!PyByteArray_CheckExact(args[0]) || !PyBytes_CheckExact(args[1]))
        return new_reference(Py_None);
    Py_ssize_t names = PyBytes_Size(args[1]);
    Py_ssize_t size = PyLong_AsSsize_t(args[2]);
    Py_ssize_t count = PyLong_AsSsize_t(args[3]);
    Py_buffer buffer;
    if (PyErr_Occurred() || PyObject_GetBuffer(args[0], &buffer, PyBUF_SIMPLE))
        return NULL;
    const unsigned char *data = buffer.buf;
    int continues = size >= 8 && size <= buffer.len && names <= size - 8 && memcmp(data + 4, ROWS, 2) == 0 &&
                    memcmp(data + 8, PyBytes_AsString(args[1]), (size_t)names) == 0;
    PyObject *found = continues
                          ? read_body(PyModule_GetState(module), data + 8 + names, size - 8 - names, count)
                          : new_reference(Py_None);
    PyBuffer_Release(&buffer);
    return found;
}

/* ---- writing: sizes first, so that exactly what is needed is allocated, then the bytes

   Pass one, `size_of`, looks at the Python types of the values alone; pass two, `put`, tests them against the
   declared types and tests what can be wrong with a value. Each byte is put only where `room` says that there is
   place for it, whatever was measured. */

typedef struct {
    State *state;
    unsigned char *at;
    unsigned char *end;
    PyObject *kept;     /* long texts as UTF-8, in the order in which they were measured */
    Py_ssize_t taken;   /* of `kept` */
} Writer;

static inline size_t
room(const Writer *writer)
{
    return (size_t)(writer->end - writer->at);
}

static inline void
put_word(Writer *writer, uint64_t word)
{
    store_word(writer->at, word);
    writer->at += 8;
}

/* What a value is sent as where no type is declared, which its exact type tells: the first code of its form. */
static inline unsigned char
form_of(PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    return type == &PyLong_Type      ? INTEGER
           : type == &PyUnicode_Type ? TEXT
           : type == &PyFloat_Type   ? FLOAT
           : value == Py_None        ? NULL_
           : type == &PyBytes_Type   ? BLOB
           : type == &PyBool_Type    ? BOOLEAN
                                     : UNKNOWN;
}

/* Return what a list has in a place, borrowed; NULL, a doubt, where it has become shorter than it was. */
static inline PyObject *
item_of(PyObject *list, Py_ssize_t i)
{
    PyObject *item = PyList_GetItem(list, i);
    if (item == NULL && PyErr_ExceptionMatches(PyExc_IndexError))
        PyErr_Clear();
    return item;
}

/* Return the UTF-8 of a text that the caller holds, NULL in doubt. Python keeps that of a text which is not ASCII
   for as long as the text lives, so it is asked for that only where it is short. */
static const char *
utf8_of(Writer *writer, PyObject *text, Py_ssize_t *size, int measuring)
{
    if (PyUnicode_GetLength(text) <= SHORT_TEXT) {
        const char *utf8 = PyUnicode_AsUTF8AndSize(text, size);
        if (utf8 == NULL)
            doubt_text();
        return utf8;
    }
    PyObject *data;
    if (measuring) {
        data = PyUnicode_AsUTF8String(text);
        if (data == NULL)
            doubt_text();
        int failed = data == NULL || PyList_Append(writer->kept, data);
        Py_XDECREF(data);
        if (failed)
            return NULL;
    } else if (writer->taken >= PyList_Size(writer->kept)) {
        return NULL;
    } else {
        data = PyList_GetItem(writer->kept, writer->taken++);
    }
    *size = PyBytes_Size(data);
    return PyBytes_AsString(data);
}

/* Return the bytes that a value takes, 0 in doubt. */
static inline size_t
size_of(Writer *writer, PyObject *value, unsigned char form)
{
    if (form == TEXT) {
        Py_ssize_t size;
        new_reference(value);
        const char *data = utf8_of(writer, value, &size, 1);
        drop_reference(value);
        return data == NULL ? 0 : ((size_t)size + 8) & ~(size_t)7;
    }
    if (form == BLOB)
        return 8 + (((size_t)PyBytes_Size(value) + 7) & ~(size_t)7);
    return form == UNKNOWN ? 0 : 8;
}

/* Put n bytes, and zeros that make whole words of them: `padded` bytes in all, less than 8 or 9 more. */
static inline int
put_bytes(Writer *writer, const char *data, size_t n, size_t padded)
{
    if (room(writer) < padded)
        return 0;
    if (padded > 0)
        memset(writer->at + padded - 8, 0, 8); /* one store; the bytes then come over some of it */
    memcpy(writer->at, data, n);
    writer->at += padded;
    return 1;
}

static int
put_text(Writer *writer, PyObject *text)
{
    Py_ssize_t size;
    new_reference(text);
    const char *data = utf8_of(writer, text, &size, 0);
    int sure = data != NULL && memchr(data, 0, (size_t)size) == NULL &&
               put_bytes(writer, data, (size_t)size, ((size_t)size + 8) & ~(size_t)7);
    drop_reference(text);
    return sure;
}

static int
put_blob(Writer *writer, PyObject *blob)
{
    size_t size = (size_t)PyBytes_Size(blob);
    if (room(writer) < 8)
        return 0;
    put_word(writer, size);
    return put_bytes(writer, PyBytes_AsString(blob), size, (size + 7) & ~(size_t)7);
}

/* Put a value whose exact type is that of the form; 0 in doubt. */
static inline int
put(Writer *writer, PyObject *value, unsigned char form)
{
    if (form == TEXT)
        return put_text(writer, value);
    if (form == BLOB)
        return put_blob(writer, value);
    if (room(writer) < 8)
        return 0;
    uint64_t word = 0; /* of NULL */
    if (form == INTEGER) {
        int overflow;
        word = (uint64_t)PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow)
            return 0;
    } else if (form == FLOAT) {
        double number = PyFloat_AsDouble(value);
        memcpy(&word, &number, sizeof word);
    } else if (form == BOOLEAN) {
        word = value == Py_True;
    }
    put_word(writer, word);
    return 1;
}

/* Return what `fill` puts into as many bytes as were measured; None in doubt. */
static PyObject *
written(Writer *writer, size_t size, int (*fill)(Writer *, void *), void *what)
{
    if (size == 0 || size > PY_SSIZE_T_MAX)
        return none_unless_raised();
    PyObject *data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (data == NULL)
        return NULL;
    writer->at = (unsigned char *)PyBytes_AsString(data);
    writer->end = writer->at + size;
    if (fill(writer, what) && writer->at == writer->end)
        return data;
    Py_DECREF(data);
    return none_unless_raised();
}

/* ---- rows written */

#define DECLARED 16 /* types that take turns in the rows of a message, as NULLs come and go */

typedef struct {
    PyObject *rows;       /* list of tuples */
    PyObject *runs;       /* list of (first row, types or None) */
    Py_ssize_t count;     /* columns, at least one */
    PyObject *declared[DECLARED]; /* types of which the codes are known, each in the place of its address */
    unsigned char *codes;         /* as many for each */
} Table;

/* Return the bytes of a row that is held, 0 in doubt. */
static inline size_t
size_of_row(Writer *writer, const Table *table, PyObject *row)
{
    if (!PyTuple_CheckExact(row) || Py_SIZE(row) != table->count)
        return 0;
    size_t total = ((size_t)table->count + 15) / 16 * 8;
    for (Py_ssize_t i = 0; i < table->count; i++) {
        PyObject *value = PyTuple_GetItem(row, i);
        size_t size = size_of(writer, value, form_of(value));
        if (size == 0 || total > PY_SSIZE_T_MAX / 2)
            return 0;
        total += size;
    }
    return total;
}

/* Return the bytes of all rows, 0 in doubt. */
static size_t
size_of_rows(Writer *writer, const Table *table)
{
    size_t total = 0;
    Py_ssize_t rows = PyList_Size(table->rows);
    for (Py_ssize_t number = 0; number < rows; number++) {
        PyObject *row = item_of(table->rows, number);
        if (row == NULL)
            return 0;
        new_reference(row);
        size_t size = size_of_row(writer, table, row);
        drop_reference(row);
        if (size == 0 || total > PY_SSIZE_T_MAX / 2)
            return 0;
        total += size;
    }
    return total;
}

/* Return the code of a declared type, which must be a member of ValueType; 0 in doubt. */
static unsigned char
code_of(const State *state, PyObject *type)
{
    for (unsigned char code = 0; code < 16; code++)
        if (state->forms[code] != UNKNOWN && state->member[code] == type)
            return code;
    return 0;
}

/* Return the codes of declared types, NULL in doubt. */
static const unsigned char *
declare(const State *state, Table *table, PyObject *types)
{
    size_t place = ((uintptr_t)types >> 4) % DECLARED;
    unsigned char *codes = table->codes + place * (size_t)table->count;
    if (table->declared[place] == types)
        return codes;
    int is_tuple = PyTuple_CheckExact(types);
    if (!is_tuple && !PyList_CheckExact(types))
        return NULL;
    if ((is_tuple ? PyTuple_Size(types) : PyList_Size(types)) != table->count)
        return NULL;
    table->declared[place] = types;
    for (Py_ssize_t i = 0; i < table->count; i++) {
        codes[i] = code_of(state, is_tuple ? PyTuple_GetItem(types, i) : PyList_GetItem(types, i));
        if (codes[i] == 0)
            return NULL;
    }
    return codes;
}

/* Put a row that is held, each value as the type that is declared or, without, as what it is; 0 in doubt. */
static int
put_row(Writer *writer, const Table *table, PyObject *row, const unsigned char *declared)
{
    size_t width = ((size_t)table->count + 15) / 16 * 8;
    if (room(writer) < width || !PyTuple_CheckExact(row) || Py_SIZE(row) != table->count)
        return 0;
    unsigned char *header = writer->at;
    writer->at += width;
    uint64_t codes = 0; /* of sixteen columns */
    for (Py_ssize_t i = 0; i < table->count; i++) {
        PyObject *value = PyTuple_GetItem(row, i);
        unsigned char form = form_of(value);
        unsigned char code = declared != NULL && form != NULL_ ? declared[i] : form;
        if (form == UNKNOWN || writer->state->forms[code] != form || !put(writer, value, form))
            return 0;
        codes |= (uint64_t)code << (i & 15) * 4;
        if ((i & 15) == 15 || i + 1 == table->count) {
            store_word(header + i / 16 * 8, codes);
            codes = 0;
        }
    }
    return 1;
}

/* Return the first row of a run, -1 in doubt. */
static Py_ssize_t
first_of_run(const Table *table, Py_ssize_t run)
{
    PyObject *pair = item_of(table->runs, run);
    if (pair == NULL || !PyTuple_CheckExact(pair) || PyTuple_Size(pair) != 2)
        return -1;
    PyObject *number = PyTuple_GetItem(pair, 0);
    if (!PyLong_CheckExact(number))
        return -1;
    int overflow;
    long long first = PyLong_AsLongLongAndOverflow(number, &overflow);
    return overflow || first > PY_SSIZE_T_MAX ? -1 : (Py_ssize_t)first;
}

/* Begin the run of a row: find the codes that are declared for it, NULL where none are; 0 in doubt. */
static int
enter_run(Writer *writer, Table *table, Py_ssize_t run, const unsigned char **codes)
{
    PyObject *pair = item_of(table->runs, run);
    if (pair == NULL || !PyTuple_CheckExact(pair) || PyTuple_Size(pair) != 2)
        return 0;
    PyObject *types = PyTuple_GetItem(pair, 1);
    *codes = types == Py_None ? NULL : declare(writer->state, table, types);
    return *codes != NULL || types == Py_None;
}

static int
put_rows(Writer *writer, void *what)
{
    Table *table = what;
    Py_ssize_t rows = PyList_Size(table->rows), runs = PyList_Size(table->runs);
    Py_ssize_t run = 0, next = first_of_run(table, 0); /* the run that begins next, and its first row */
    const unsigned char *codes = NULL;
    if (next != 0)
        return 0;
    for (Py_ssize_t number = 0; number < rows; number++) {
        if (number == next) {
            if (!enter_run(writer, table, run++, &codes))
                return 0;
            next = run < runs ? first_of_run(table, run) : rows;
            if (next <= number)
                return 0;
        }
        PyObject *row = item_of(table->rows, number);
        if (row == NULL)
            return 0;
        new_reference(row);
        int sure = put_row(writer, table, row, codes);
        drop_reference(row);
        if (!sure)
            return 0;
    }
    return 1;
}

static PyObject *
write_rows(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3) {
        PyErr_BadArgument();
        return NULL;
    }
    Table table = {.rows = args[0], .runs = args[1], .count = PyLong_AsSsize_t(args[2])};
    if (table.count < 1 || !PyList_CheckExact(table.rows) || !PyList_CheckExact(table.runs))
        return PyErr_Occurred() ? NULL : new_reference(Py_None);
    Writer writer = {.state = PyModule_GetState(module), .kept = PyList_New(0)};
    if (writer.kept == NULL)
        return NULL;
    PyObject *data = NULL;
    size_t size = size_of_rows(&writer, &table); /* not 0 only where there are rows of so many columns */
    table.codes = size == 0 ? NULL : PyMem_Calloc((size_t)table.count, DECLARED);
    if (size == 0 || table.codes != NULL)
        data = written(&writer, size, put_rows, &table);
    else
        PyErr_NoMemory();
    PyMem_Free(table.codes);
    Py_DECREF(writer.kept);
    return data;
}

/* Tell whether the items of a list are one object or, by type, of one type. No code of theirs runs meanwhile. */
static PyObject *
alike(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    (void)module;
    if (nargs != 2 || !PyList_CheckExact(args[0])) {
        PyErr_BadArgument();
        return NULL;
    }
    int by_type = args[1] == Py_True;
    Py_ssize_t count = PyList_Size(args[0]);
    PyObject *first = count > 0 ? PyList_GetItem(args[0], 0) : NULL;
    for (Py_ssize_t i = 1; i < count; i++) {
        PyObject *item = PyList_GetItem(args[0], i);
        if (by_type ? Py_TYPE(item) != Py_TYPE(first) : item != first)
            return new_reference(Py_False);
    }
    return new_reference(Py_True);
}

/* ---- parameters written */

typedef struct {
    PyObject *values; /* list */
    size_t count;
    size_t width;     /* bytes of the count */
} Params;

static size_t
size_of_header(const Params *params)
{
    return (params->width + params->count + 7) & ~(size_t)7;
}

static size_t
size_of_params(Writer *writer, const Params *params)
{
    size_t total = size_of_header(params);
    for (size_t i = 0; i < params->count; i++) {
        PyObject *value = item_of(params->values, (Py_ssize_t)i);
        size_t size = value == NULL ? 0 : size_of(writer, value, form_of(value));
        if (size == 0 || total > PY_SSIZE_T_MAX / 2)
            return 0;
        total += size;
    }
    return total;
}

static int
put_params(Writer *writer, void *what)
{
    const Params *params = what;
    size_t header = size_of_header(params);
    if (room(writer) < header)
        return 0;
    unsigned char *codes = writer->at;
    memset(codes, 0, header);
    for (size_t i = 0; i < params->width; i++)
        *codes++ = (unsigned char)(params->count >> 8 * i);
    writer->at += header;
    for (size_t i = 0; i < params->count; i++) {
        PyObject *value = item_of(params->values, (Py_ssize_t)i);
        unsigned char form = value == NULL ? UNKNOWN : form_of(value);
        if (form == UNKNOWN || writer->state->forms[form] != form || !put(writer, value, form))
            return 0;
        codes[i] = form;
    }
    return 1;
}

static PyObject *
write_params(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_BadArgument();
        return NULL;
    }
    long schema = PyLong_AsLong(args[1]);
    if (schema < 0 || schema > 1 || !PyList_CheckExact(args[0]))
        return PyErr_Occurred() ? NULL : new_reference(Py_None);
    Params params = {.values = args[0], .count = (size_t)PyList_Size(args[0]), .width = schema ? 4 : 1};
    if (params.count > (schema ? UINT32_MAX : UINT8_MAX))
        return new_reference(Py_None);
    Writer writer = {.state = PyModule_GetState(module), .kept = PyList_New(0)};
    if (writer.kept == NULL)
        return NULL;
    PyObject *data = written(&writer, size_of_params(&writer, &params), put_params, &params);
    Py_DECREF(writer.kept);
    return data;
}

/* ---- the module */

static void
forget_types(State *state)
{
    for (int i = 0; i < SETS * WAYS; i++)
        Py_CLEAR(state->slots[i / WAYS][i % WAYS].types);
}

static PyObject *
set_kinds(PyObject *module, PyObject *args)
{
    State *state = PyModule_GetState(module);
    PyObject *members, *encoded;
    /* No "y#": what headers of 3.13 make of it, 3.11 and 3.12 refuse. */
    if (!PyArg_ParseTuple(args, "O!O!:set_kinds", &PyTuple_Type, &members, &PyBytes_Type, &encoded))
        return NULL;
    if (PyTuple_Size(members) < 16 || PyBytes_Size(encoded) < 16) {
        PyErr_BadArgument();
        return NULL;
    }
    const unsigned char *forms = (const unsigned char *)PyBytes_AsString(encoded);
    forget_types(state);
    PyObject *old = state->kept;
    state->kept = new_reference(members);
    for (int code = 0; code < 16; code++)
        state->member[code] = PyTuple_GetItem(members, code);
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
    Py_VISIT(state->kept);
    for (int i = 0; i < SETS * WAYS; i++)
        Py_VISIT(state->slots[i / WAYS][i % WAYS].types);
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
    memset(state->member, 0, sizeof state->member);
    Py_CLEAR(state->kept);
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
    {"read_part", (PyCFunction)(void (*)(void))read_part, METH_FASTCALL,
     "read_part(buffer, names, size, count) -> (runs, rows, more) or None"},
    {"write_rows", (PyCFunction)(void (*)(void))write_rows, METH_FASTCALL,
     "write_rows(rows, runs, count) -> bytes or None"},
    {"write_params", (PyCFunction)(void (*)(void))write_params, METH_FASTCALL,
     "write_params(params, schema) -> bytes or None"},
    {"alike", (PyCFunction)(void (*)(void))alike, METH_FASTCALL, "alike(items, by_type) -> bool"},
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
