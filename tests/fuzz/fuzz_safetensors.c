/* safetensors files. */
#include "base/mem.h"
#include "fuzz.h"
#include "store/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const size_t width[] = {
        [TENSOR_F32] = 4, [TENSOR_F64] = 8, [TENSOR_F16] = 2,  [TENSOR_BF16] = 2,    [TENSOR_I64] = 8,
        [TENSOR_I32] = 4, [TENSOR_U8] = 1,  [TENSOR_BOOL] = 1, [TENSOR_I8] = 1,      [TENSOR_I16] = 2,
        [TENSOR_U16] = 2, [TENSOR_U32] = 4, [TENSOR_U64] = 8,  [TENSOR_F8_E4M3] = 1, [TENSOR_F8_E5M2] = 1
    };
    struct safetensors s = { 0 };
    struct err err = { "" };
    if (safetensors_parse(bytes, n, "input", &s, &err) != 0) {
        FUZZ_CHECK(err.text[0]);
        return 0;
    }
    for (int i = 0; i < s.n; i++) {
        const struct tensor_view *t = &s.tensors[i];
        size_t elements = 1;
        FUZZ_CHECK(t->rank >= 0 && t->rank <= TENSOR_RANK_MAX && t->bytes <= n);
        for (int k = 0; k < t->rank; k++)
            elements *= (size_t)t->dims[k];
        FUZZ_CHECK(elements * width[t->type] == t->bytes);
        FUZZ_CHECK(safetensors_find(&s, t->name) == t);
        fuzz_touch(t->data, t->bytes);
        float *values = mem_alloc(elements, sizeof *values, &err);
        if (values != NULL && tensor_to_float(t, values, &err) == 0)
            fuzz_touch(values, elements * sizeof *values);
        mem_free(values);
    }
    safetensors_close(&s);
    return 0;
}
