/* The batch-norm slots as calls of kernels: for whoever has struct batch_norm with a member `d`,
 *     void *batch_norm_workspace(struct batch_norm *, struct err *)
 *     cudaStream_t batch_norm_stream(const struct batch_norm *)
 * which are the cuda device and its emulator. No include guard. */

static int batch_norm_rounds(const struct batch_norm *bn)
{
    (void)bn;
    return 1;
}

static int batch_norm_moments(struct batch_norm *bn, int round, const void *x, double *own, struct err *err)
{
    void *workspace = batch_norm_workspace(bn, err);
    (void)round;
    if (workspace == NULL || host_check_statistics(&bn->d, err) != 0)
        return -1;
    return cuda_batch_norm_moments(batch_norm_stream(bn), &bn->d, workspace, x, own, err);
}

static int batch_norm_finish(struct batch_norm *bn, int round, int ranks, double *results, float *running_mean,
                             float *running_var, float *save_mean, float *save_invstd, struct err *err)
{
    (void)round;
    return cuda_batch_norm_finish(batch_norm_stream(bn), &bn->d, ranks, results, running_mean, running_var, save_mean,
                                  save_invstd, err);
}

static int batch_norm_apply(struct batch_norm *bn, int round, const void *x, const void *residual, const float *gamma,
                            const float *beta, const double *results, void *y, struct err *err)
{
    (void)round;
    return cuda_batch_norm_apply(batch_norm_stream(bn), &bn->d, x, residual, gamma, beta, results, y, err);
}

static int batch_norm_infer(struct batch_norm *bn, const void *x, const void *residual, const float *gamma,
                            const float *beta, const float *running_mean, const float *running_var, void *y,
                            struct err *err)
{
    return cuda_batch_norm_infer(batch_norm_stream(bn), &bn->d, x, residual, gamma, beta, running_mean, running_var, y,
                                 err);
}

static int batch_norm_products(struct batch_norm *bn, int round, const struct batch_norm_backward *b, double *own,
                               struct err *err)
{
    void *workspace = batch_norm_workspace(bn, err);
    (void)round;
    return workspace != NULL ? cuda_batch_norm_products(batch_norm_stream(bn), &bn->d, workspace, b, own, err) : -1;
}

static int batch_norm_finish_backward(struct batch_norm *bn, int round, int ranks, int rank,
                                      const struct batch_norm_backward *b, double *results, struct err *err)
{
    (void)round;
    return cuda_batch_norm_finish_backward(batch_norm_stream(bn), &bn->d, ranks, rank, b, results, err);
}

static int batch_norm_input_gradient(struct batch_norm *bn, int round, const struct batch_norm_backward *b,
                                     const double *results, struct err *err)
{
    (void)round;
    return cuda_batch_norm_input_gradient(batch_norm_stream(bn), &bn->d, b, results, err);
}
