#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 16384 };

static ssize_t read_some(int fd, char *bytes, size_t size)
{
	ssize_t n = -1;

	do
		n = read(fd, bytes, size);
	while (n < 0 && errno == EINTR);
	return n;
}

int file_read(const char *path, struct buf *out)
{
	char chunk[CHUNK];
	int err = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return ERR_SYSTEM;
	for (;;) {
		ssize_t n = read_some(fd, chunk, sizeof chunk);
		if (n < 0)
			err = ERR_SYSTEM;
		if (n <= 0)
			break;
		buf_append(out, chunk, (size_t)n);
		err = buf_error(out);
		if (err)
			break;
	}
	int saved_errno = errno;
	(void)close(fd);
	errno = saved_errno;
	return err;
}

int file_check(const char *path)
{
	char byte[1];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return ERR_SYSTEM;
	/* a folder opens well enough; reading it does not */
	int err = read_some(fd, byte, sizeof byte) < 0 ? ERR_SYSTEM : 0;
	int saved_errno = errno;
	(void)close(fd);
	errno = saved_errno;
	return err;
}

int file_check_folder(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return ERR_SYSTEM;
	if (!S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return ERR_SYSTEM;
	}
	return access(path, R_OK | X_OK) ? ERR_SYSTEM : 0;
}
