/* NumPy files. */
#include "base/mem.h"
#include "fuzz.h"
#include "store/matrix_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const size_t width[] = { [NPY_F32] = 4, [NPY_F64] = 8, [NPY_U8] = 1, [NPY_I64] = 8 };
    struct npy a = { 0 };
    struct err err = { "" };
    if (npy_parse(bytes, n, "input", &a, &err) != 0) {
        FUZZ_CHECK(err.text[0]);
        return 0;
    }
    size_t elements = 1;
    FUZZ_CHECK(a.rank >= 0 && a.rank <= 8 && a.bytes <= n);
    for (int i = 0; i < a.rank; i++) {
        FUZZ_CHECK(a.dims[i] >= 0);
        elements *= (size_t)a.dims[i];
    }
    FUZZ_CHECK(elements * width[a.type] == a.bytes);
    fuzz_touch(a.data, a.bytes);
    mem_free(a.data);
    return 0;
}
