/* NumPy files, as every type that a caller may want. */
#include "base/mem.h"
#include "fuzz.h"
#include "store/npy.h"

static void check(const struct npy *a, size_t n, enum npy_type type)
{
    static const size_t width[] = { [NPY_U8] = 1, [NPY_I64] = 8, [NPY_F32] = 4, [NPY_F64] = 8 };
    char shape[NPY_SHAPE];
    size_t elements = 1;
    FUZZ_CHECK(a->rank >= 0 && a->rank <= NPY_RANK_MAX && a->stored_bytes <= n && a->type == type);
    for (int i = 0; i < a->rank; i++) {
        FUZZ_CHECK(a->dims[i] >= 0);
        elements *= (size_t)a->dims[i];
    }
    FUZZ_CHECK(elements * width[type] == a->bytes);
    npy_shape(a, shape);
    fuzz_touch(shape, NPY_SHAPE);
    fuzz_touch(a->data, a->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    for (enum npy_type type = NPY_U8; type <= NPY_F64; type++) {
        struct npy a = { 0 };
        struct err err = { "" };
        if (npy_parse(bytes, n, "input", type, &a, &err) != 0) {
            FUZZ_CHECK(err.text[0] && a.data == NULL);
            continue;
        }
        check(&a, n, type);
        mem_free(a.data);
    }
    return 0;
}
