/* --set a.b[0].c=value: one setting changed from the command line.
 *
 * A list of groups is addressed by index or by the `name` of its elements
 * (encoders.victim.train.epochs=5); a last name that is not there is added, so
 * that its checks are those of any setting. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/names.h"
#include "conf/character.h"
#include "conf/internal.h"

enum { PART = 128, NAMES_MAX = 256 };

/* The next part of the path: ".name" or "[index]"; NULL if malformed. */
static const char *next_part(const char *p, bool first, char part[PART], bool *index)
{
    *index = *p == '[';
    if (*index) {
        size_t n = strspn(p + 1, "0123456789");
        if (n == 0 || n >= 10 || p[n + 1] != ']')
            return NULL;
        snprintf(part, PART, "%.*s", (int)n, p + 1);
        return p + n + 2;
    }
    if (*p == '.' && !first)
        p++;
    else if (!first)
        return NULL;
    size_t n = strcspn(p, ".[");
    if (n == 0 || n >= PART)
        return NULL;
    snprintf(part, PART, "%.*s", (int)n, p);
    return p + n;
}

static const char *element_name(const struct conf_node *element)
{
    const struct conf_node *name = element->type == CONF_GROUP ? conf_child(element, "name") : NULL;
    return name != NULL && name->type == CONF_STRING ? name->value.string : NULL;
}

/* Position of a part in a list or group: -1 if it is not there. */
static int position(const struct conf_node *node, const char *part, bool index)
{
    if (index) {
        long i = strtol(part, NULL, 10);
        return node->type == CONF_LIST && i < node->n ? (int)i : -1;
    }
    for (int i = 0; i < node->n; i++) {
        const char *name = node->type == CONF_LIST ? element_name(node->children[i]) : node->children[i]->name;
        if (name != NULL && strcmp(name, part) == 0)
            return i;
    }
    return -1;
}

static void not_there(struct conf *conf, const struct conf_node *at, const struct conf_node *node, const char *part,
                      bool index)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    if (index && node->type == CONF_LIST) {
        conf_error(conf, at, "there is no element [%s]: the list has %d", part, node->n);
        return;
    }
    if (index || (node->type != CONF_LIST && node->type != CONF_GROUP)) {
        conf_error(conf, at, "\"%s\" cannot be looked up in %s", part, conf_type_name(node));
        return;
    }
    for (int i = 0; i < node->n && n < NAMES_MAX; i++) {
        const char *name = node->type == CONF_LIST ? element_name(node->children[i]) : node->children[i]->name;
        if (name != NULL)
            names[n++] = name;
    }
    char hint[NAMES_HINT];
    conf_error(conf, at, "there is no \"%s\"%s", part, names_suggest(part, names, n, hint));
}

static int store(struct conf *conf, struct conf_node *parent, int i, const char *name, const char *value,
                 const struct conf_node *at, struct err *err)
{
    struct conf_node *node = node_parse_value(name, value, at->file, err);
    if (node == NULL)
        return -1;
    if (node->type != CONF_STRING)
        source_check_value(conf, at, value);
    if (i >= 0) {
        node_destroy(parent->children[i]);
        parent->children[i] = node;
        return 0;
    }
    if (node_append(parent, node, err) == 0)
        return 0;
    node_destroy(node);
    return -1;
}

/* `label` is "--set ..." of the text. */
static int mark_characters(struct conf *conf, const char *label, const char *text, struct err *err)
{
    uint32_t code;
    int column = 1;
    for (size_t n; (n = character_decode(text, strlen(text), &code)) > 0; text += n, column++)
        if (character_find(code) != NULL)
            return conf_mark(conf, label, 0, column, code, err);
    return 0;
}

int override_apply(struct conf *conf, const char *text, struct err *err)
{
    char label[512], part[PART];
    snprintf(label, sizeof label, "--set %.480s", text);
    const char *file = conf_keep_name(conf, label, err), *equals = strchr(text, '=');
    if (file == NULL || mark_characters(conf, file, text, err) != 0)
        return -1;
    struct conf_node at = { .file = file };
    if (equals == NULL || equals == text) {
        conf_error(conf, &at, "an override looks like a.b[0].c=value");
        return 0;
    }
    char *path = mem_printf(err, "%.*s", (int)(equals - text), text);
    if (path == NULL)
        return -1;
    int rc = 0;
    struct conf_node *node = conf->root;
    for (const char *p = path; *p != 0;) {
        bool index;
        p = next_part(p, p == path, part, &index);
        if (p == NULL) {
            conf_error(conf, &at, "an override looks like a.b[0].c=value");
            break;
        }
        int i = position(node, part, index);
        if (i < 0 && (index || node->type != CONF_GROUP)) {
            not_there(conf, &at, node, part, index);
            break;
        }
        if (*p == 0) {
            rc = store(conf, node, i, index || node->type == CONF_LIST ? NULL : part, equals + 1, &at, err);
            break;
        }
        if (i < 0) {
            not_there(conf, &at, node, part, index);
            break;
        }
        node = node->children[i];
    }
    mem_free(path);
    return rc;
}
