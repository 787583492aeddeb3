/* What the libraries on the host tell a test. */
#ifndef DINF_TESTS_GPU_HOST_H
#define DINF_TESTS_GPU_HOST_H

#include <stdbool.h>
#include <stddef.h>

size_t host_gpu_used(void); /* bytes of GPU memory and page-locked pieces that were not freed */
size_t host_gpu_peak(void); /* most bytes of GPU memory at a time since the last call */
int host_graphs(void);      /* graphs ready to be launched */
int host_cudnn_open(void);  /* descriptors that were not destroyed */
int host_unset(void);       /* products whose operands began with nothing: NaN or 0 */
void host_spend(double ms); /* work that was queued takes so long */
bool host_was_idle(void);   /* the GPU was, when this product was queued; asked once */

#endif
