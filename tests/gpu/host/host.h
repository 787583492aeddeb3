/* What the libraries on the host tell a test. */
#ifndef DINF_TESTS_GPU_HOST_H
#define DINF_TESTS_GPU_HOST_H

#include <stddef.h>

size_t host_gpu_used(void); /* bytes of GPU memory and page-locked pieces that were not freed */
size_t host_gpu_peak(void); /* most bytes of GPU memory at a time since the last call */
int host_graphs(void);      /* graphs ready to be launched */
int host_cudnn_open(void);  /* descriptors that were not destroyed */
void host_spend(double ms); /* work that was queued takes so long */

#endif
