/* A grid emulator in the place of CUDA's <cuda_runtime.h>: what the sources of
 * our kernels use, for the host. Blocks run one after another. The threads of a
 * block do so too, unless the kernel calls __syncthreads: then each has a stack
 * of its own, and they take turns at every barrier. */
#ifndef DINF_TESTS_EMULATOR_CUDA_RUNTIME_H
#define DINF_TESTS_EMULATOR_CUDA_RUNTIME_H

#include <stddef.h>

typedef struct emulated_stream *cudaStream_t;
typedef int cudaError_t;
enum { cudaSuccess = 0, cudaErrorInvalidConfiguration = 9 };

#ifdef __cplusplus
extern "C" {
#endif
/* The last launch's; cleared by the call. */
cudaError_t cudaGetLastError(void);
const char *cudaGetErrorString(cudaError_t error);
long emulator_launches(void); /* so far */
#ifdef __cplusplus
}

#include <functional>
#include <tuple>

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned ax = 1, unsigned ay = 1, unsigned az = 1) : x(ax), y(ay), z(az)
    {
    }
};

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

#define __global__
#define __launch_bounds__(...)
#define __device__
#define __host__
#define __shared__ static /* one block runs at a time; like the real thing, not initialised by a block */

void __syncthreads();

/* Runs `thread` for every thread of the grid, or keeps it if a capture goes on. */
void emulator_run(dim3 grid, dim3 block, bool synchronised, const std::function<void()> &thread);

/* As a launch: the arguments are taken now, whenever the kernel runs. */
template <class... Parameters, class... Arguments>
void emulator_launch(dim3 grid, dim3 block, bool synchronised, void (*kernel)(Parameters...), Arguments... arguments)
{
    const std::tuple<Parameters...> taken(arguments...);
    emulator_run(grid, block, synchronised, [kernel, taken]() { std::apply(kernel, taken); });
}

#define EMULATE(synchronised, kernel, grid, block, stream, ...)                                                        \
    ((void)(stream), emulator_launch(grid, block, synchronised, kernel, __VA_ARGS__), grid_launched(#kernel, err))
#define LAUNCH(...) EMULATE(false, __VA_ARGS__)
#define LAUNCH_SYNC(...) EMULATE(true, __VA_ARGS__)
#endif

#endif
