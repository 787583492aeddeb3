/* The operations of ops.def by their definitions: plain loops, sums in double. */
#include <assert.h>
#include <math.h>

#include "device/ref/ref.h"

#define DINF_OP_REF
#include "device/every_op.h"

#define ROW_EXTENT (given->rows == 0 || given->columns == 0)
#define COLUMN_EXTENT (given->columns == 0)
#define ELEMENT_EXTENT (given->count == 0)
#define SUM_EXTENT (given->count == 0)

#define OP(class, name)                                                                                                \
    int ref_##name(struct device *dev, const struct name *given, struct err *err)                                      \
    {                                                                                                                  \
        (void)dev;                                                                                                     \
        (void)err;                                                                                                     \
        if (!class##_EXTENT)                                                                                           \
            name##_ref(given);                                                                                         \
        return 0;                                                                                                      \
    }
#include "device/ops.def"
#undef OP
