/* From a config to a plan: the blocks in the order in which they refer to each other. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "plan/blocks.h"
#include "plan/internal.h"
#include "plan/schedule.h"

/* The rows of device/devices.def, which this room does not see; a test compares. */
static const char *const devices[] = { "auto", "cpu", "cuda", "ref", NULL };

#define AT(member) offsetof(struct campaign, member)
const struct option campaign_options[] = {
    { "name", OPTION_CHOICE, AT(name), NULL, 0, 0, NULL, NULL, "of the campaign; names the run directory" },
    { "seed", OPTION_INT, AT(seed), "0", 0, OPTION_SEED_MAX, NULL, NULL, "from which all others are derived" },
    { "trials", OPTION_INT, AT(trials), "1", 1, 10000, NULL, NULL,
      "repetitions, each with its own victims, thefts and independents" },
    { "threads", OPTION_INT, AT(threads), "1", 1, 1024, NULL, NULL,
      "of every task; results may differ in the last bits between numbers of threads" },
    { "retries", OPTION_INT, AT(retries), "1", 0, 100, NULL, NULL, "further attempts of a task that failed" },
    { "retry_seconds", OPTION_FLOAT, AT(retry_seconds), "1", 0, 3600, NULL, "s",
      "pause before the second attempt; it doubles with each further one, to 60 s at most" },
    { "task_seconds", OPTION_FLOAT, AT(task_seconds), "0", 0, 1e9, NULL, "s", "limit of one attempt; 0: none" },
    { "ranks_per_gpu", OPTION_INT, AT(ranks_per_gpu), "0", 0, 4096, NULL, NULL,
      "tasks that a GPU works on at a time, further ranks wait; 0: as many as ranks share it" },
    { "device", OPTION_CHOICE, AT(device), "auto", 0, 0, devices, NULL, "that computes" },
    OPTION_END,
};

static int load_campaign(struct builder *b, const struct conf_node *node)
{
    const struct option *tables[] = { campaign_options };
    struct campaign *c = &b->plan->campaign;
    struct err why;
    *c = (struct campaign){ .trials = 1, .threads = 1 };
    if (node == NULL) {
        conf_error(b->conf, b->conf->root, "campaign = { name = ...; }; is missing");
        return 0;
    }
    cJSON *o = cJSON_CreateObject();
    if (o == NULL)
        return err_set(b->err, "out of memory");
    if (conf_bind(b->conf, node, tables, 1, NULL, o) == 0) {
        if (options_from_json(campaign_options, o, c, &why) != 0)
            conf_error(b->conf, node, "%s", why.text);
        else if (c->name[0] == 0 || c->name[0] == '.' || strchr(c->name, '/') != NULL)
            conf_error(b->conf, conf_child(node, "name"), "name = \"%s\" cannot name a folder", c->name);
    }
    cJSON_Delete(o);
    if (c->trials < 1)
        c->trials = 1;
    return 0;
}

static void check_blocks(struct builder *b)
{
    static const char *const blocks[] = { "campaign", "datasets", "encoders", "steal", "evaluate", "mock" };
    enum { BLOCKS = sizeof blocks / sizeof *blocks };
    for (int i = 0; i < b->conf->root->n; i++) {
        const struct conf_node *node = b->conf->root->children[i];
        int k = 0;
        while (k < BLOCKS && strcmp(blocks[k], node->name) != 0)
            k++;
        if (k == BLOCKS)
            unknown_name(b, node, "block", node->name, blocks, BLOCKS);
    }
}

static int finish(struct builder *b)
{
    struct plan *p = b->plan;
    p->config = mem_strdup(b->conf->text, b->err);
    if (p->config == NULL || hash_bytes(p->config, strlen(p->config), p->config_hash, b->err) != 0)
        return -1;
    schedule_paths(p);
    return 0;
}

static void builder_fini(struct builder *b)
{
    for (int i = 0; i < b->n_sets; i++)
        cJSON_Delete(b->sets[i].spec);
    for (int i = 0; i < b->n_encoders; i++)
        mem_free(b->encoders[i].name);
    mem_free(b->sets);
    mem_free(b->encoders);
    mem_free(b->common);
    mem_free(b->identities);
    mem_free(b->extents);
    table_fini(&b->ids);
    table_fini(&b->names);
    table_fini(&b->overlaps);
}

int plan_build(struct conf *conf, struct plan **plan, struct err *err)
{
    struct builder b = { .conf = conf, .err = err };
    const struct conf_node *root = conf->root;
    int rc = -1;
    *plan = NULL;
    if (conf->n_errors > 0)
        return err_set(err, "the config has %d error%s", conf->n_errors, conf->n_errors == 1 ? "" : "s");
    b.plan = mem_alloc(1, sizeof *b.plan, err);
    if (b.plan == NULL)
        return -1;
    check_blocks(&b);
    if (load_campaign(&b, conf_child(root, "campaign")) != 0)
        goto out;
    if (sets_load(&b, conf_child(root, "datasets")) != 0 || encoders_load(&b, conf_child(root, "encoders")) != 0 ||
        thefts_load(&b, conf_child(root, "steal")) != 0 || evaluate_load(&b, conf_child(root, "evaluate")) != 0 ||
        mocks_load(&b, conf_child(root, "mock")) != 0)
        goto out;
    if (conf->n_errors == 0 && b.plan->n_tasks == 0)
        conf_error(conf, root, "there is nothing to do: no encoders and no mock");
    if (conf->n_errors > 0) {
        err_set(err, "the config has %d error%s", conf->n_errors, conf->n_errors == 1 ? "" : "s");
        goto out;
    }
    rc = finish(&b);
out:
    builder_fini(&b);
    if (rc == 0)
        *plan = b.plan;
    else
        plan_destroy(b.plan);
    return rc;
}
