/* The grid emulator: fibres for the threads of a block that synchronises. */
#include "cuda_runtime.h"

#include "capture.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include <memory>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace
{

constexpr size_t STACK_BYTES = 128 << 10;
constexpr unsigned THREADS_MAX = 1024; /* of a block, as on every GPU */

/* A place to go on from. */
struct place {
    ucontext_t context; /* where it begins */
    jmp_buf jump;       /* where it stopped */
    bool begun;
};

struct fibre {
    struct place place;
    std::unique_ptr<char[]> stack;
    uint3 index;
    bool done;
};

std::vector<fibre> fibres;
place scheduler;
fibre *current; /* NULL: no fibres, no barrier allowed */
const std::function<void()> *body;
cudaError_t last_error;
long launches;
struct capture *going_on; /* NULL: work is done at once */

/* swapcontext asks the kernel for the signal mask at every switch, so it is only
 * used to begin; except under the address sanitizer, which mistrusts longjmp
 * between stacks. */
void go(place &from, place &to)
{
#ifdef __SANITIZE_ADDRESS__
    swapcontext(&from.context, &to.context);
#else
    if (_setjmp(from.jump) != 0)
        return;
    if (to.begun)
        _longjmp(to.jump, 1);
    to.begun = true;
    setcontext(&to.context);
#endif
}

void live()
{
    for (;;) { /* one block after another */
        (*body)();
        current->done = true;
        go(current->place, scheduler);
    }
}

void create(fibre &f)
{
    f.stack.reset(new char[STACK_BYTES]);
    getcontext(&f.place.context);
    f.place.context.uc_stack.ss_sp = f.stack.get();
    f.place.context.uc_stack.ss_size = STACK_BYTES;
    f.place.context.uc_link = nullptr;
    makecontext(&f.place.context, live, 0);
    f.place.begun = false;
}

/* All threads run to the next barrier, then all go on. A kernel whose threads end
 * while others wait is wrong; ours may end early after their last barrier only. */
void run_block_of_fibres(unsigned threads)
{
    for (unsigned t = 0; t < threads; t++) {
        fibre &f = fibres[t];
        if (!f.stack)
            create(f);
        f.index = { t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y };
        f.done = false;
    }
    /* the order of threads changes at every barrier: a kernel that lacks one is found out */
    for (unsigned round = 0;; round++) {
        unsigned done = 0;
        for (unsigned i = 0; i < threads; i++) {
            current = &fibres[round % 2 ? threads - 1 - i : i];
            threadIdx = current->index;
            go(scheduler, current->place);
            done += current->done;
        }
        current = nullptr;
        if (done == threads)
            return;
        if (done > 0) {
            fprintf(stderr, "emulator: %u of %u threads of a block ended before a barrier of the others\n", done,
                    threads);
            abort();
        }
    }
}

void run_block(unsigned threads)
{
    for (unsigned t = 0; t < threads; t++) {
        threadIdx = { t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y };
        (*body)();
    }
}

void run_grid(dim3 grid, dim3 block, bool synchronised, const std::function<void()> &thread)
{
    const size_t threads = (size_t)block.x * block.y * block.z;

    scheduler.begun = true;
    if (synchronised && fibres.empty())
        fibres.resize(THREADS_MAX); /* never again: contexts must not move */
    body = &thread;
    gridDim = grid;
    blockDim = block;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = { x, y, z };
                if (synchronised)
                    run_block_of_fibres((unsigned)threads);
                else
                    run_block((unsigned)threads);
            }
}

} // namespace

struct capture {
    std::vector<std::function<void()>> work;
};

void capture_begin(void)
{
    going_on = new capture;
}

bool capture_going_on(void)
{
    return going_on;
}

struct capture *capture_end(void)
{
    struct capture *c = going_on;
    going_on = nullptr;
    return c;
}

void capture_replay(const struct capture *c)
{
    for (const auto &one : c->work)
        one();
}

void capture_free(struct capture *c)
{
    delete c;
}

void capture_queue(void (*run)(const void *), const void *args, size_t bytes)
{
    const std::vector<char> copy((const char *)args, (const char *)args + bytes);
    if (going_on)
        going_on->work.push_back([run, copy]() { run(copy.data()); });
    else
        run(args);
}

void __syncthreads()
{
    if (!current) {
        fprintf(stderr, "emulator: __syncthreads in a kernel that was not launched by LAUNCH_SYNC\n");
        abort();
    }
    go(current->place, scheduler);
}

void emulator_run(dim3 grid, dim3 block, bool synchronised, const std::function<void()> &thread)
{
    const size_t threads = (size_t)block.x * block.y * block.z;

    if (threads == 0 || threads > THREADS_MAX || grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu ||
        grid.y > 65535 || grid.z > 65535) {
        last_error = cudaErrorInvalidConfiguration;
        return;
    }
    launches++;
    if (going_on)
        going_on->work.push_back([=]() { run_grid(grid, block, synchronised, thread); });
    else
        run_grid(grid, block, synchronised, thread);
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaSuccess ? "no error" : "invalid configuration argument";
}

long emulator_launches(void)
{
    return launches;
}
