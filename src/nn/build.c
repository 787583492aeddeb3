/* A whole network from its options: the encoder and, for training, its head. */
#include "nn/arch.h"

struct network *network_build(struct device *dev, const struct encoder_config *config, int head_dim, struct err *err)
{
    const struct arch_kind *arch = arch_find(config->arch, err);
    struct network *net = arch == NULL ? NULL : network_create(dev, err);
    if (net == NULL)
        return NULL;
    int rc = arch->build(arch, config, net, err);
    if (rc == 0 && head_dim > 0) {
        int hidden =
            network_linear(net, net->representation, "projector.0", net->tensors[net->representation].c, true, err);
        rc = hidden < 0 ? -1 : network_linear(net, hidden, "projector.2", head_dim, false, err);
    }
    if (rc < 0 || network_allocate(net, err) != 0) {
        network_destroy(net);
        return NULL;
    }
    return net;
}
