/* Grey values, LBP codes and their colours: what codes.py and mapping.py compute by NumPy and OpenCV, bit for bit.

   A sample is four products, float64, added in lbp.m's order. A fused multiply-add rounds once instead of twice and
   changes codes, so setup.py compiles with -ffp-contract=off. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__FAST_MATH__) || FLT_EVAL_METHOD != 0
#error "this code needs IEEE double arithmetic, rounded after every operation"
#endif

#define NEIGHBOURS 8
#define CORNERS 4
#define COLOURS 256
#define GREY_BITS 23 /* binary places of a grey weight: with 23 every RGB triple has its exact grey */
#define CHUNK 512    /* pixels of a row done at once: their codes stay in the fastest cache */

typedef struct {
    double weight[CORNERS];
    size_t offset[CORNERS]; /* from the top left pixel of the square around the circle */
} Sample;

typedef struct {
    const uint8_t *grey;
    double *image; /* room for the same pixels as float64 */
    size_t width, height, radius;
    Sample samples[NEIGHBOURS];
    double threshold;
    int16_t limit; /* the threshold for neighbours that are pixels, rounded up */
    uint8_t *codes;
} Job;

/* The bodies below are inlined into a copy for each instruction set. */
#ifdef __GNUC__
#define BODY static inline __attribute__((always_inline)) void
#else
#define BODY static inline void
#endif

BODY grey_body(const uint8_t *restrict rgb, const uint32_t *weights, uint8_t *restrict grey, size_t count)
{
    const uint32_t red = weights[0], green = weights[1], blue = weights[2], half = 1u << (GREY_BITS - 1);
    for (size_t i = 0; i < count; i++)
        grey[i] = (uint8_t)((red * rgb[3 * i] + green * rgb[3 * i + 1] + blue * rgb[3 * i + 2] + half) >> GREY_BITS);
}

/* SAMPLE copies a neighbour's weights and pixels to local variables, which the compiler can keep in registers. */
#define SAMPLE(k)                                                                                                      \
    const double k##w0 = k->weight[0], k##w1 = k->weight[1], k##w2 = k->weight[2], k##w3 = k->weight[3];               \
    const double *k##p0 = from + k->offset[0], *k##p1 = from + k->offset[1];                                           \
    const double *k##p2 = from + k->offset[2], *k##p3 = from + k->offset[3]
#define VALUE(k) (k##w0 * k##p0[i] + k##w1 * k##p1[i] + k##w2 * k##p2[i] + k##w3 * k##p3[i])

/* Set bits 1, 3, 5, 7: the interpolated neighbours. Integers as wide as a double keep the loop in one width. */
BODY diagonals(const double *restrict from, const double *restrict centre, const Job *job, int64_t *restrict bits,
               size_t count)
{
    const Sample *ne = &job->samples[1], *nw = &job->samples[3], *sw = &job->samples[5], *se = &job->samples[7];
    const double threshold = job->threshold;
    SAMPLE(ne);
    SAMPLE(nw);
    SAMPLE(sw);
    SAMPLE(se);
    for (size_t i = 0; i < count; i++) {
        const double g = centre[i];
        bits[i] = (VALUE(ne) - g >= threshold ? 1 << 1 : 0) | (VALUE(nw) - g >= threshold ? 1 << 3 : 0) |
                  (VALUE(sw) - g >= threshold ? 1 << 5 : 0) | (VALUE(se) - g >= threshold ? 1 << 7 : 0);
    }
}

/* Add bits 0, 2, 4, 6: the neighbours that are pixels. */
BODY axes(const uint8_t *restrict from, const uint8_t *restrict centre, const Job *job, const int64_t *restrict bits,
          uint8_t *restrict codes, size_t count)
{
    const uint8_t *e = from + job->samples[0].offset[0], *n = from + job->samples[2].offset[0];
    const uint8_t *w = from + job->samples[4].offset[0], *s = from + job->samples[6].offset[0];
    const int16_t limit = job->limit;
    for (size_t i = 0; i < count; i++) {
        const int16_t least = (int16_t)(centre[i] + limit);
        codes[i] = (uint8_t)(bits[i] | (e[i] >= least ? 1 << 0 : 0) | (n[i] >= least ? 1 << 2 : 0) |
                             (w[i] >= least ? 1 << 4 : 0) | (s[i] >= least ? 1 << 6 : 0));
    }
}

BODY codes_body(const Job *job)
{
    const size_t rows = job->height - 2 * job->radius, columns = job->width - 2 * job->radius;
    const size_t middle = job->radius * job->width + job->radius;
    int64_t bits[CHUNK];
    for (size_t i = 0; i < job->height * job->width; i++)
        job->image[i] = job->grey[i];
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < columns; column += CHUNK) {
            const size_t from = row * job->width + column;
            const size_t count = columns - column < CHUNK ? columns - column : CHUNK;
            diagonals(job->image + from, job->image + from + middle, job, bits, count);
            axes(job->grey + from, job->grey + from + middle, job, bits, job->codes + row * columns + column, count);
        }
}

typedef struct {
    const char *name;
    void (*grey)(const uint8_t *rgb, const uint32_t *weights, uint8_t *grey, size_t count);
    void (*codes)(const Job *job);
} Level;

#define LEVEL(name, target)                                                                                            \
    target static void grey_##name(const uint8_t *rgb, const uint32_t *weights, uint8_t *grey, size_t count)           \
    {                                                                                                                  \
        grey_body(rgb, weights, grey, count);                                                                          \
    }                                                                                                                  \
    target static void codes_##name(const Job *job)                                                                    \
    {                                                                                                                  \
        codes_body(job);                                                                                               \
    }                                                                                                                  \
    static const Level name = {#name, grey_##name, codes_##name};

LEVEL(plain, )
#if defined(__GNUC__) && defined(__x86_64__)
LEVEL(avx2, __attribute__((target("avx2"))))
LEVEL(avx512, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))))
#endif

static const Level *levels[3]; /* what this processor has, the fastest first */
static size_t level_count;
static const Level *used;

static void find_levels(void)
{
    level_count = 0;
#if defined(__GNUC__) && defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        levels[level_count++] = &avx512;
    if (__builtin_cpu_supports("avx2"))
        levels[level_count++] = &avx2;
#endif
    levels[level_count++] = &plain;
    used = levels[0];
}

static PyObject *use(PyObject *module, PyObject *args)
{
    const char *name;
    if (!PyArg_ParseTuple(args, "s", &name))
        return NULL;
    for (size_t k = 0; k < level_count; k++)
        if (strcmp(levels[k]->name, name) == 0) {
            used = levels[k];
            Py_RETURN_NONE;
        }
    return PyErr_Format(PyExc_ValueError, "%s: not on this processor", name);
}

static PyObject *grey(PyObject *module, PyObject *args)
{
    Py_buffer rgb, out;
    unsigned int given[3];
    if (!PyArg_ParseTuple(args, "y*(III)w*", &rgb, &given[0], &given[1], &given[2], &out))
        return NULL;
    const uint32_t weights[3] = {given[0], given[1], given[2]};
    const int fits = rgb.len % 3 == 0 && rgb.len / 3 == out.len;
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        used->grey(rgb.buf, weights, out.buf, (size_t)out.len);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&rgb);
    PyBuffer_Release(&out);
    if (!fits)
        return PyErr_Format(PyExc_ValueError, "grey: the output must have one byte for every three of the image");
    Py_RETURN_NONE;
}

/* Fill the job's samples; return whether each lies in the square of 2 R + 1 pixels around the circle. */
static int read_samples(Job *job, const Py_buffer *weights, const Py_buffer *places)
{
    if (weights->len != sizeof(double[NEIGHBOURS][CORNERS]) || places->len != sizeof(int64_t[NEIGHBOURS][CORNERS][2]))
        return 0;
    const double *weight = weights->buf;
    const int64_t *place = places->buf, last = 2 * (int64_t)job->radius;
    for (int k = 0; k < NEIGHBOURS; k++)
        for (int corner = 0; corner < CORNERS; corner++, place += 2) {
            if (place[0] < 0 || place[0] > last || place[1] < 0 || place[1] > last)
                return 0;
            job->samples[k].weight[corner] = *weight++;
            job->samples[k].offset[corner] = (size_t)place[0] * job->width + (size_t)place[1];
        }
    return 1;
}

static PyObject *codes(PyObject *module, PyObject *args)
{
    Py_buffer image, weights, places, out;
    Py_ssize_t width, R;
    double threshold;
    short limit;
    if (!PyArg_ParseTuple(args, "y*nn(y*y*)(dh)w*", &image, &width, &R, &weights, &places, &threshold, &limit, &out))
        return NULL;
    PyObject *answer = NULL;
    Job job = {.grey = image.buf, .threshold = threshold, .limit = limit, .codes = out.buf};
    if (width < 1 || image.len % width || R < 1 || R > (width - 1) / 2 || R > (image.len / width - 1) / 2 ||
        (width - 2 * R) * (image.len / width - 2 * R) != out.len) {
        PyErr_SetString(PyExc_ValueError, "codes: image, radius and output do not fit");
        goto end;
    }
    job.width = (size_t)width;
    job.height = (size_t)(image.len / width);
    job.radius = (size_t)R;
    if (!read_samples(&job, &weights, &places)) {
        PyErr_SetString(PyExc_ValueError, "codes: the samples do not fit the radius");
        goto end;
    }
    job.image = malloc((size_t)image.len * sizeof(double));
    if (job.image == NULL) {
        PyErr_NoMemory();
        goto end;
    }
    Py_BEGIN_ALLOW_THREADS
    used->codes(&job);
    Py_END_ALLOW_THREADS
    free(job.image);
    answer = Py_NewRef(Py_None);
end:
    PyBuffer_Release(&image);
    PyBuffer_Release(&weights);
    PyBuffer_Release(&places);
    PyBuffer_Release(&out);
    return answer;
}

/* Write four bytes per pixel; the next pixel overwrites the fourth. This is faster than writing three. */
static void paint(const uint8_t *codes, const uint8_t *palette, uint8_t *rgb, size_t count)
{
    uint8_t table[COLOURS][4] = {{0}};
    for (int code = 0; code < COLOURS; code++)
        memcpy(table[code], palette + 3 * code, 3);
    for (size_t i = 0; i + 1 < count; i++)
        memcpy(rgb + 3 * i, table[codes[i]], 4);
    if (count)
        memcpy(rgb + 3 * (count - 1), table[codes[count - 1]], 3);
}

static PyObject *colours(PyObject *module, PyObject *args)
{
    Py_buffer image, palette, out;
    if (!PyArg_ParseTuple(args, "y*y*w*", &image, &palette, &out))
        return NULL;
    const int fits = palette.len == 3 * COLOURS && out.len % 3 == 0 && out.len / 3 == image.len;
    if (fits) {
        Py_BEGIN_ALLOW_THREADS
        paint(image.buf, palette.buf, out.buf, (size_t)image.len);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&image);
    PyBuffer_Release(&palette);
    PyBuffer_Release(&out);
    if (!fits)
        return PyErr_Format(PyExc_ValueError, "colours: the output must have three bytes per code, and the palette 256 colours");
    Py_RETURN_NONE;
}

/* kernels.py documents them. */
static PyMethodDef methods[] = {
    {"use", use, METH_VARARGS, NULL},
    {"grey", grey, METH_VARARGS, NULL},
    {"codes", codes, METH_VARARGS, NULL},
    {"colours", colours, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_kernels", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit__kernels(void)
{
    PyObject *module = PyModule_Create(&definition);
    find_levels();
    PyObject *names = PyTuple_New((Py_ssize_t)level_count);
    for (size_t k = 0; names != NULL && k < level_count; k++) {
        PyObject *name = PyUnicode_FromString(levels[k]->name);
        if (name == NULL || PyTuple_SetItem(names, (Py_ssize_t)k, name) < 0)
            Py_CLEAR(names);
    }
    if (module != NULL && (names == NULL || PyModule_AddObjectRef(module, "LEVELS", names) < 0))
        Py_CLEAR(module);
    Py_XDECREF(names);
    return module;
}
