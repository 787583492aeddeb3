/* The files that a task leaves, DIR/tasks/ID.h5 and, of an encoder, DIR/tasks/ID.safetensors: whose they are, and
 * whether they are whole. */
#ifndef DINF_TASKS_FILES_H
#define DINF_TASKS_FILES_H

#include "base/err.h"

/* Do those of the two files that are there say that the task `id` made them? */
int task_files_check(const char *dir, const char *id, struct err *err);
/* The same, and all that belongs to the result is there and can be read; weights are those that the result records (of
 * versions before that record: any of this task). For results whose digest nobody kept. */
int task_files_whole(const char *dir, const char *id, struct err *err);
/* Renames them to *.damaged, in the place of older ones. */
int task_files_set_aside(const char *dir, const char *id, struct err *err);

#endif
