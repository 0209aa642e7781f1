#include "server/cli/import_source.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Into a file that has no name: closing it removes it. */
static int spool(struct import_source *source)
{
	FILE *copy = tmpfile();
	char bytes[1 << 14];
	size_t got;
	int err = 0;

	if (!copy)
		return ERR_SYSTEM;
	while (!err && (got = fread(bytes, 1, sizeof(bytes), source->file)) > 0) {
		if (fwrite(bytes, 1, got, copy) != got)
			err = ERR_SYSTEM;
	}
	if (ferror(source->file) || fflush(copy))
		err = ERR_SYSTEM;
	if (err) {
		int keep = errno;

		(void)fclose(copy);
		errno = keep;
		return err;
	}
	if (source->file != stdin)
		(void)fclose(source->file);
	source->file = copy;
	import_source_rewind(source);
	return 0;
}

int import_source_open(const char *path, struct import_source *ret_source)
{
	struct stat status;
	int err = 0;

	ret_source->number = 0;
	ret_source->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (!ret_source->file)
		return ERR_SYSTEM;
	if (fstat(fileno(ret_source->file), &status))
		err = ERR_SYSTEM;
	else if (ret_source->file == stdin || !S_ISREG(status.st_mode))
		err = spool(ret_source);
	if (err) {
		int keep = errno;

		import_source_close(ret_source);
		errno = keep;
	}
	return err;
}

void import_source_close(struct import_source *source)
{
	if (source->file && source->file != stdin)
		(void)fclose(source->file);
	source->file = NULL;
	explicit_bzero(source->line, sizeof(source->line));
}

void import_source_rewind(struct import_source *source)
{
	rewind(source->file);
	source->number = 0;
}

static bool blank(const struct import_source *source)
{
	return strspn(source->line, " \t\r") == source->len;
}

int import_source_next(struct import_source *source)
{
	int c;

	do {
		source->len = 0;
		while ((c = getc(source->file)) != EOF && c != '\n') {
			if (source->len <= LIMIT_IMPORT_LINE)
				source->line[source->len++] = (char)c;
		}
		source->line[source->len] = '\0';
		if (c == EOF && ferror(source->file))
			return ERR_SYSTEM;
		if (c == EOF && source->len == 0)
			return 0;
		source->number++;
	} while (blank(source));
	return 1;
}
