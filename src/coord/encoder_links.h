/* DIR/encoders/NAME.safetensors: a run's encoders by the names of its config. Relative
 * links to DIR/tasks/ID.safetensors, for people; nothing in dinf reads them. */
#ifndef DINF_COORD_ENCODER_LINKS_H
#define DINF_COORD_ENCODER_LINKS_H

#include "plan/plan.h"

/* NAME.safetensors with a trial's suffix; a slash, a control character or a dot at the
 * beginning becomes "_", a long name is cut, and such a name ends with a part of the id. */
int encoder_link_name(const struct plan_task *task, char *out, size_t size, struct err *err);

/* Makes or renews the link of a task that is done; nothing if it makes no encoder. A file
 * of this name that is no link is an error. */
int encoder_link(const char *dir, const struct plan_task *task, struct err *err);

/* The links of all tasks that are done; other links to ../tasks/ are removed. */
int encoder_links_renew(const char *dir, const struct plan *plan, struct err *err);

#endif
