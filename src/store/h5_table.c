/* Tables, packed and unpacked by hand: text in a table has a fixed width, which PyTables,
 * R and MATLAB read, and HDF5 does not convert such text from and to pointers. */
#include "store/h5.h"

#include <string.h>

#include "base/mem.h"

static size_t count_columns(const struct column *columns)
{
    size_t n = 0;
    while (columns[n].name != NULL)
        n++;
    return n;
}

/* UTF-8 of so many bytes, padded with NUL. */
static hid_t text_type(size_t width)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, width);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

/* ---- writing ---- */

static const char *text_at(const void *rows, size_t row_size, size_t row, const struct column *c)
{
    const char *text;
    memcpy(&text, (const char *)rows + row * row_size + c->offset, sizeof text);
    return text == NULL ? "" : text;
}

/* Bytes of a column in the file: text as the longest is, and never 0. */
static size_t column_width(const struct column *c, const void *rows, size_t row_size, size_t n)
{
    size_t width = 1;
    if (c->type != COLUMN_STRING)
        return 8;
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(text_at(rows, row_size, i, c));
        width = length > width ? length : width;
    }
    return width;
}

/* Compound without gaps; memory: numbers of this machine instead of the file's. */
static hid_t packed_type(const struct column *columns, size_t n, const size_t *widths, int memory)
{
    size_t size = 0, at = 0;
    for (size_t k = 0; k < n; k++)
        size += widths[k];
    hid_t type = H5Tcreate(H5T_COMPOUND, size);
    for (size_t k = 0; k < n; at += widths[k], k++) {
        if (columns[k].type == COLUMN_STRING) {
            hid_t text = text_type(widths[k]);
            H5Tinsert(type, columns[k].name, at, text);
            H5Tclose(text);
        } else if (columns[k].type == COLUMN_INT) {
            H5Tinsert(type, columns[k].name, at, memory ? H5T_NATIVE_INT64 : H5T_STD_I64LE);
        } else {
            H5Tinsert(type, columns[k].name, at, memory ? H5T_NATIVE_DOUBLE : H5T_IEEE_F64LE);
        }
    }
    return type;
}

/* `packed` is zeroed. */
static void pack_rows(char *packed, size_t size, const struct column *columns, size_t n_columns, const size_t *widths,
                      const void *rows, size_t row_size, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *to = packed + i * size;
        for (size_t k = 0; k < n_columns; to += widths[k], k++) {
            if (columns[k].type == COLUMN_STRING) {
                const char *text = text_at(rows, row_size, i, &columns[k]);
                memcpy(to, text, strnlen(text, widths[k]));
            } else {
                memcpy(to, (const char *)rows + i * row_size + columns[k].offset, 8);
            }
        }
    }
}

static int put_column_texts(hid_t d, const struct column *columns, size_t n, struct err *err)
{
    const char **texts = mem_alloc(n, sizeof *texts, err);
    if (texts == NULL)
        return -1;
    for (size_t i = 0; i < n; i++)
        texts[i] = columns[i].unit;
    int rc = h5_put_strings(d, "units", texts, n, err);
    for (size_t i = 0; i < n; i++)
        texts[i] = columns[i].help;
    if (rc == 0)
        rc = h5_put_strings(d, "column_descriptions", texts, n, err);
    mem_free(texts);
    return rc;
}

int h5_write_table(hid_t file, const char *path, const char *description, const struct column *columns,
                   const void *rows, size_t row_size, size_t n, struct err *err)
{
    int rc = -1;
    int64_t dims = (int64_t)n;
    char *packed = NULL;
    hid_t type = -1, memory = -1, d = -1;
    size_t n_columns = count_columns(columns), *widths = mem_alloc(n_columns, sizeof *widths, err);
    if (widths == NULL)
        return -1;
    for (size_t k = 0; k < n_columns; k++)
        widths[k] = column_width(&columns[k], rows, row_size, n);
    type = packed_type(columns, n_columns, widths, false);
    memory = packed_type(columns, n_columns, widths, true);
    packed = mem_alloc(n, H5Tget_size(memory), err);
    if (packed == NULL)
        goto out;
    pack_rows(packed, H5Tget_size(memory), columns, n_columns, widths, rows, row_size, n);
    d = h5_write_dataset(file, path, type, memory, packed, 1, &dims, err);
    if (d < 0)
        goto out;
    rc = h5_put_string(d, "description", description, err);
    if (rc == 0)
        rc = put_column_texts(d, columns, n_columns, err);
    H5Dclose(d);
out:
    H5Tclose(memory);
    H5Tclose(type);
    mem_free(packed);
    mem_free(widths);
    return rc;
}

/* ---- reading ---- */

/* What a row looks like when it is read: numbers as int64_t and double, text with a NUL
 * behind it, or a pointer where the file has text of any length. */
struct layout {
    hid_t memory;
    size_t size;
    size_t *at;     /* per column */
    bool *pointers; /* per column: text of any length */
};

static void layout_fini(struct layout *l)
{
    if (l->memory >= 0)
        H5Tclose(l->memory);
    mem_free(l->at);
    mem_free(l->pointers);
}

/* The member as it is read: of text the character set stays, which HDF5 does not convert. */
static hid_t member_type(hid_t file, enum column_type type, bool pointer)
{
    if (type != COLUMN_STRING)
        return H5Tcopy(type == COLUMN_INT ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE);
    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, pointer ? H5T_VARIABLE : H5Tget_size(file) + 1);
    H5Tset_cset(text, H5Tget_cset(file));
    return text;
}

static int describe_member(hid_t type, unsigned k, struct column *c, struct err *err)
{
    H5T_class_t class = H5Tget_member_class(type, k);
    char *name = H5Tget_member_name(type, k);
    if (name == NULL)
        return h5_fail(err, "cannot read the name of column %u", k);
    int rc = 0;
    c->type = class == H5T_INTEGER ? COLUMN_INT : class == H5T_FLOAT ? COLUMN_FLOAT : COLUMN_STRING;
    c->offset = k * sizeof(union cell);
    if (class != H5T_INTEGER && class != H5T_FLOAT && class != H5T_STRING)
        rc = err_set(err, "column %s is neither number nor text", name);
    else if ((c->name = mem_strdup(name, err)) == NULL)
        rc = -1;
    H5free_memory(name);
    return rc;
}

/* Fills the columns of `t` and the layout of its rows. */
static int describe_rows(hid_t type, struct h5_table *t, struct layout *l, struct err *err)
{
    t->n_columns = (size_t)H5Tget_nmembers(type);
    t->columns = mem_alloc(t->n_columns + 1, sizeof *t->columns, err);
    l->at = mem_alloc(t->n_columns, sizeof *l->at, err);
    l->pointers = mem_alloc(t->n_columns, sizeof *l->pointers, err);
    hid_t *members = mem_alloc(t->n_columns, sizeof *members, err);
    if (t->columns == NULL || l->at == NULL || l->pointers == NULL || members == NULL) {
        mem_free(members);
        return -1;
    }
    size_t n = 0;
    int rc = 0;
    for (; n < t->n_columns && rc == 0; n++) {
        hid_t file = H5Tget_member_type(type, (unsigned)n);
        rc = describe_member(type, (unsigned)n, &t->columns[n], err);
        l->pointers[n] = H5Tget_class(file) == H5T_STRING && H5Tis_variable_str(file) > 0;
        members[n] = member_type(file, t->columns[n].type, l->pointers[n]);
        l->at[n] = l->size;
        l->size += H5Tget_size(members[n]);
        H5Tclose(file);
    }
    l->memory = rc == 0 ? H5Tcreate(H5T_COMPOUND, l->size) : -1;
    for (size_t k = 0; k < n; k++) {
        if (rc == 0)
            H5Tinsert(l->memory, t->columns[k].name, l->at[k], members[k]);
        H5Tclose(members[k]);
    }
    mem_free(members);
    return rc;
}

static const char *row_text(const struct layout *l, const char *row, size_t k)
{
    const char *text = row + l->at[k];
    if (l->pointers[k])
        memcpy(&text, row + l->at[k], sizeof text);
    return text == NULL ? "" : text;
}

/* Cells of the rows; text is copied into t->texts. */
static int unpack_rows(const char *rows, const struct layout *l, struct h5_table *t, struct err *err)
{
    size_t bytes = 1;
    for (size_t i = 0; i < t->n_rows; i++)
        for (size_t k = 0; k < t->n_columns; k++)
            if (t->columns[k].type == COLUMN_STRING)
                bytes += strlen(row_text(l, rows + i * l->size, k)) + 1;
    t->texts = mem_alloc(bytes, 1, err);
    t->cells = mem_alloc(t->n_rows, t->n_columns * sizeof *t->cells, err);
    if (t->texts == NULL || t->cells == NULL)
        return -1;
    char *to = t->texts;
    for (size_t i = 0; i < t->n_rows; i++)
        for (size_t k = 0; k < t->n_columns; k++) {
            const char *row = rows + i * l->size;
            union cell *cell = &t->cells[i * t->n_columns + k];
            if (t->columns[k].type != COLUMN_STRING) {
                memcpy(cell, row + l->at[k], sizeof *cell);
                continue;
            }
            size_t length = strlen(row_text(l, row, k)) + 1;
            memcpy(to, row_text(l, row, k), length);
            cell->s = to;
            to += length;
        }
    return 0;
}

int h5_read_table(hid_t dataset, const char *path, struct h5_table *out, struct err *err)
{
    int rc = -1;
    struct h5_table t = { .columns = NULL };
    struct layout l = { .memory = -1 };
    char *rows = NULL;
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset), transfer = -1;
    t.n_rows = (size_t)H5Sget_simple_extent_npoints(space);
    if (describe_rows(type, &t, &l, err) != 0)
        goto out;
    rows = mem_alloc(t.n_rows, l.size, err);
    if (rows == NULL)
        goto out;
    transfer = h5_transfer(t.n_rows * l.size);
    if (t.n_rows > 0 && H5Dread(dataset, l.memory, H5S_ALL, H5S_ALL, transfer, rows) < 0) {
        h5_fail(err, "cannot read %s", path);
        goto out;
    }
    rc = unpack_rows(rows, &l, &t, err);
    if (t.n_rows > 0)
        H5Dvlen_reclaim(l.memory, space, H5P_DEFAULT, rows);
out:
    if (transfer >= 0)
        H5Pclose(transfer);
    H5Sclose(space);
    H5Tclose(type);
    layout_fini(&l);
    mem_free(rows);
    if (rc == 0)
        *out = t;
    else
        h5_table_fini(&t);
    return rc;
}

void h5_table_fini(struct h5_table *t)
{
    for (size_t k = 0; t->columns != NULL && k < t->n_columns; k++)
        mem_free((char *)(uintptr_t)t->columns[k].name);
    mem_free(t->columns);
    mem_free(t->cells);
    mem_free(t->texts);
    *t = (struct h5_table){ .columns = NULL };
}
