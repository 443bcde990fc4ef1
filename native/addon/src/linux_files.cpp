/*
 * Calls relative to open folders, none of which ever follows a symbolic link: paths are resolved by
 * openat2(2) below a folder, everything else takes one name in it. Names are bytes.
 *
 * Every call returns its result, or -errno; nothing here throws.
 */
#include "files.h"
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

namespace nts
{

namespace
{

using Info = Napi::CallbackInfo;

Napi::Value answer(const Info &info, long result)
{
    return Napi::Number::New(info.Env(), static_cast<double>(result < 0 ? -errno : result));
}

int number(const Info &info, size_t i)
{
    return info[i].As<Napi::Number>().Int32Value();
}

int64_t wide(const Info &info, size_t i)
{
    return info[i].As<Napi::Number>().Int64Value();
}

/* A name or path as C wants it; a zero inside would cut it, and is no name of anything. */
struct Name {
    std::string text;
    Name(const Info &info, size_t i)
    {
        if (info[i].IsString()) {
            text = info[i].As<Napi::String>().Utf8Value();
        } else {
            auto bytes = info[i].As<Napi::Uint8Array>();
            text.assign(reinterpret_cast<const char *>(bytes.Data()), bytes.ByteLength());
        }
    }
    bool usable() const
    {
        if (!text.empty() && text.find('\0') == std::string::npos)
            return true;
        errno = EINVAL;
        return false;
    }
    /* One component, which is neither the folder itself nor the one above. */
    bool component() const
    {
        if (usable() && text.find('/') == std::string::npos && text != "." && text != "..")
            return true;
        errno = EINVAL;
        return false;
    }
    const char *c_str() const
    {
        return text.c_str();
    }
};

/* openBeneath(folder, path, flags, mode) */
Napi::Value open_beneath(const Info &info)
{
    Name path(info, 1);
    open_how how{};
    how.flags = static_cast<uint64_t>(number(info, 2)) | O_CLOEXEC | O_NOFOLLOW;
    how.mode = how.flags & O_CREAT ? static_cast<uint64_t>(number(info, 3)) : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    long fd = -1;
    if (path.usable()) {
        do
            fd = syscall(SYS_openat2, number(info, 0), path.c_str(), &how, sizeof(how));
        while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    }
    return answer(info, fd);
}

Napi::Value make_folder(const Info &info)
{
    Name name(info, 1);
    return answer(info, name.component() ? mkdirat(number(info, 0), name.c_str(),
                                                   static_cast<mode_t>(number(info, 2)))
                                         : -1);
}

/* unlink(folder, name, isFolder) */
Napi::Value unlink_name(const Info &info)
{
    Name name(info, 1);
    int flags = info[2].ToBoolean() ? AT_REMOVEDIR : 0;
    return answer(info, name.component() ? unlinkat(number(info, 0), name.c_str(), flags) : -1);
}

/* rename(fromFolder, from, toFolder, to, flags of renameat2) */
Napi::Value rename_name(const Info &info)
{
    Name from(info, 1), to(info, 3);
    if (!from.component() || !to.component())
        return answer(info, -1);
    return answer(info, syscall(SYS_renameat2, number(info, 0), from.c_str(), number(info, 2),
                                to.c_str(), static_cast<unsigned>(number(info, 4))));
}

Napi::Value link_name(const Info &info)
{
    Name from(info, 1), to(info, 3);
    if (!from.component() || !to.component())
        return answer(info, -1);
    return answer(info, linkat(number(info, 0), from.c_str(), number(info, 2), to.c_str(), 0));
}

/* symlink(target, folder, name) */
Napi::Value make_symlink(const Info &info)
{
    Name target(info, 0), name(info, 2);
    if (!target.usable() || !name.component())
        return answer(info, -1);
    return answer(info, symlinkat(target.c_str(), number(info, 1), name.c_str()));
}

/* mknod(folder, name, mode, major, minor) */
Napi::Value make_node(const Info &info)
{
    Name name(info, 1);
    dev_t device =
        makedev(static_cast<unsigned>(wide(info, 3)), static_cast<unsigned>(wide(info, 4)));
    return answer(info, name.component() ? mknodat(number(info, 0), name.c_str(),
                                                   static_cast<mode_t>(number(info, 2)), device)
                                         : -1);
}

/* stat(folder, name or null for the folder or file itself, out: Float64Array(16)) */
Napi::Value stat_name(const Info &info)
{
    struct stat st;
    int result;
    if (info[1].IsNull()) {
        result = fstat(number(info, 0), &st);
    } else {
        Name name(info, 1);
        result = name.component() ? fstatat(number(info, 0), name.c_str(), &st, AT_SYMLINK_NOFOLLOW)
                                  : -1;
    }
    if (result == 0) {
        auto out = info[2].As<Napi::Float64Array>();
        const double values[] = {
            static_cast<double>(st.st_ino),          static_cast<double>(st.st_dev),
            static_cast<double>(st.st_mode),         static_cast<double>(st.st_nlink),
            static_cast<double>(st.st_uid),          static_cast<double>(st.st_gid),
            static_cast<double>(st.st_size),         static_cast<double>(st.st_mtim.tv_sec),
            static_cast<double>(st.st_mtim.tv_nsec), static_cast<double>(st.st_atim.tv_sec),
            static_cast<double>(st.st_atim.tv_nsec), static_cast<double>(major(st.st_rdev)),
            static_cast<double>(minor(st.st_rdev)),  static_cast<double>(st.st_blocks),
        };
        std::memcpy(out.Data(), values, sizeof(values));
    }
    return answer(info, result);
}

/* readlink(folder, name) -> Buffer | -errno */
Napi::Value read_link(const Info &info)
{
    Name name(info, 1);
    char target[PATH_MAX];
    ssize_t length =
        name.component() ? readlinkat(number(info, 0), name.c_str(), target, sizeof(target)) : -1;
    if (length < 0)
        return answer(info, -1);
    return Napi::Buffer<char>::Copy(info.Env(), target, static_cast<size_t>(length));
}

/* chown(folder, name, user, group); -1 leaves one alone */
Napi::Value change_owner(const Info &info)
{
    Name name(info, 1);
    return answer(info,
                  name.component()
                      ? fchownat(number(info, 0), name.c_str(), static_cast<uid_t>(wide(info, 2)),
                                 static_cast<gid_t>(wide(info, 3)), AT_SYMLINK_NOFOLLOW)
                      : -1);
}

/* The path by which calls without a form for descriptors reach what O_PATH has opened. */
struct Held {
    int fd;
    std::string path;
    Held(int folder, const Name &name)
    {
        fd = name.component() ? openat(folder, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
        path = "/proc/self/fd/" + std::to_string(fd);
    }
    ~Held()
    {
        int keep = errno;
        if (fd >= 0)
            close(fd);
        errno = keep;
    }
    Held(const Held &) = delete;
    Held &operator=(const Held &) = delete;
};

/* chmod(folder, name, mode): never of what a symbolic link names */
Napi::Value change_mode(const Info &info)
{
    Name name(info, 1);
    Held held(number(info, 0), name);
    struct stat st;
    if (held.fd < 0 || fstat(held.fd, &st) != 0)
        return answer(info, -1);
    if (S_ISLNK(st.st_mode)) {
        errno = EOPNOTSUPP;
        return answer(info, -1);
    }
    return answer(info, chmod(held.path.c_str(), static_cast<mode_t>(number(info, 2))));
}

/* utimes(folder, name, accessSeconds, accessNanoseconds, writeSeconds, writeNanoseconds) */
Napi::Value set_times(const Info &info)
{
    Name name(info, 1);
    const timespec times[2] = {{static_cast<time_t>(wide(info, 2)), number(info, 3)},
                               {static_cast<time_t>(wide(info, 4)), number(info, 5)}};
    return answer(info, name.component()
                            ? utimensat(number(info, 0), name.c_str(), times, AT_SYMLINK_NOFOLLOW)
                            : -1);
}

/* setXattr(folder, name, attribute, value or null to remove it) */
Napi::Value set_xattr(const Info &info)
{
    Name name(info, 1), attribute(info, 2);
    Held held(number(info, 0), name);
    if (held.fd < 0 || !attribute.usable())
        return answer(info, -1);
    if (info[3].IsNull())
        return answer(info, removexattr(held.path.c_str(), attribute.c_str()));
    auto value = info[3].As<Napi::Uint8Array>();
    return answer(
        info, setxattr(held.path.c_str(), attribute.c_str(), value.Data(), value.ByteLength(), 0));
}

/* getXattr(folder, name, attribute) -> Buffer | -errno */
Napi::Value get_xattr(const Info &info)
{
    Name name(info, 1), attribute(info, 2);
    Held held(number(info, 0), name);
    if (held.fd < 0 || !attribute.usable())
        return answer(info, -1);
    std::string value(65536, '\0');
    ssize_t length = getxattr(held.path.c_str(), attribute.c_str(), value.data(), value.size());
    if (length < 0)
        return answer(info, -1);
    return Napi::Buffer<char>::Copy(info.Env(), value.data(), static_cast<size_t>(length));
}

/* listXattr(folder, name) -> Buffer of names, each ended by a zero | -errno */
Napi::Value list_xattr(const Info &info)
{
    Name name(info, 1);
    Held held(number(info, 0), name);
    if (held.fd < 0)
        return answer(info, -1);
    std::string names(65536, '\0');
    ssize_t length = listxattr(held.path.c_str(), names.data(), names.size());
    if (length < 0)
        return answer(info, -1);
    return Napi::Buffer<char>::Copy(info.Env(), names.data(), static_cast<size_t>(length));
}

/* zero(fd, offset, length): a hole where the file system can, the size stays */
Napi::Value zero_range(const Info &info)
{
    int fd = number(info, 0);
    off_t offset = wide(info, 1), length = wide(info, 2);
    int result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
    if (result == 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
        return answer(info, result);
    static const char zeros[65536] = {};
    while (length > 0) {
        size_t part = length < static_cast<off_t>(sizeof(zeros)) ? static_cast<size_t>(length)
                                                                 : sizeof(zeros);
        ssize_t done = pwrite(fd, zeros, part, offset);
        if (done < 0)
            return answer(info, -1);
        offset += done;
        length -= done;
    }
    return answer(info, 0);
}

/* extend(fd, from, to): zeros with room on the disk */
Napi::Value extend(const Info &info)
{
    off_t from = wide(info, 1);
    return answer(info, fallocate(number(info, 0), 0, from, wide(info, 2) - from));
}

/* seekData(fd, offset) -> the next byte that is no hole | -ENXIO: none */
Napi::Value seek_data(const Info &info)
{
    return answer(info, lseek(number(info, 0), wide(info, 1), SEEK_DATA));
}

Napi::Value seek_hole(const Info &info)
{
    return answer(info, lseek(number(info, 0), wide(info, 1), SEEK_HOLE));
}

Napi::Value sync_file_system(const Info &info)
{
    return answer(info, syncfs(number(info, 0)));
}

/* A piece at least, at the same offset; 0: `from` ends there. */
ssize_t copy_piece(int from, int to, off_t at, off_t end)
{
    size_t bytes = static_cast<size_t>(end - at);
    off_t source = at, target = at;
    ssize_t done = copy_file_range(from, &source, to, &target, bytes, 0);
    if (done >= 0 || (errno != EXDEV && errno != EOPNOTSUPP && errno != EINVAL))
        return done;
    /* Another file system, or one that cannot. */
    std::vector<char> buffer(std::min<size_t>(bytes, 1 << 20));
    done = pread(from, buffer.data(), buffer.size(), at);
    return done <= 0 ? done : pwrite(to, buffer.data(), static_cast<size_t>(done), at);
}

/* copy(from, to, size): by reference where the file system can; holes stay holes */
Napi::Value copy_data(const Info &info)
{
    int from = number(info, 0), to = number(info, 1);
    off_t size = wide(info, 2);
    if (ioctl(to, FICLONE, from) == 0)
        return answer(info, 0);
    if (ftruncate(to, size) != 0)
        return answer(info, -1);
    for (off_t at = 0; at < size;) {
        off_t start = lseek(from, at, SEEK_DATA);
        if (start < 0)
            return answer(info, errno == ENXIO ? 0 : -1);
        off_t end = lseek(from, start, SEEK_HOLE);
        if (end < 0)
            return answer(info, -1);
        while (start < end) {
            ssize_t done = copy_piece(from, to, start, end);
            if (done < 0)
                return answer(info, -1);
            if (done == 0)
                return answer(info, 0); /* became shorter meanwhile */
            start += done;
        }
        at = end;
    }
    return answer(info, 0);
}

/* All of it at `at`; 0 or -errno. */
int write_whole(int fd, iovec *pieces, size_t count, off_t at)
{
    while (count > 0) {
        ssize_t done = pwritev(fd, pieces, static_cast<int>(std::min<size_t>(count, IOV_MAX)), at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        at += done;
        auto left = static_cast<size_t>(done);
        while (count > 0 && left >= pieces->iov_len) {
            left -= pieces->iov_len;
            pieces++;
            count--;
        }
        if (left > 0) {
            pieces->iov_base = static_cast<char *>(pieces->iov_base) + left;
            pieces->iov_len -= left;
        }
    }
    return 0;
}

/* One visit of another thread for three calls: each visit costs two wake-ups. */
class Append : public Napi::AsyncWorker
{
  public:
    Append(const Info &info)
        : Napi::AsyncWorker(info.Env()), deferred_(info.Env()), fd_(number(info, 0)),
          at_(wide(info, 2)), mark_at_(wide(info, 4))
    {
        auto pieces = info[1].As<Napi::Array>();
        for (uint32_t i = 0; i < pieces.Length(); i++)
            pieces_.push_back(piece(pieces.Get(i)));
        mark_ = piece(info[3]);
        /* Their memory is used until the end. */
        kept_ = Napi::Persistent(Napi::Object::New(info.Env()));
        kept_.Set("pieces", pieces);
        kept_.Set("mark", info[3]);
    }
    Napi::Promise promise() const
    {
        return deferred_.Promise();
    }

  protected:
    void Execute() override
    {
        result_ = write_whole(fd_, pieces_.data(), pieces_.size(), at_);
        if (result_ == 0)
            result_ = write_whole(fd_, &mark_, 1, mark_at_);
        if (result_ == 0 && fdatasync(fd_) != 0)
            result_ = -errno;
    }
    void OnOK() override
    {
        deferred_.Resolve(Napi::Number::New(Env(), result_));
    }

  private:
    static iovec piece(Napi::Value value)
    {
        auto bytes = value.As<Napi::Uint8Array>();
        return {bytes.Data(), bytes.ByteLength()};
    }
    Napi::Promise::Deferred deferred_;
    int fd_;
    off_t at_;
    off_t mark_at_;
    std::vector<iovec> pieces_;
    iovec mark_{};
    Napi::ObjectReference kept_;
    int result_ = 0;
};

/* append(fd, pieces, at, mark, markAt) -> promise of 0 | -errno: both are written, and all on disk
 */
Napi::Value append(const Info &info)
{
    auto *work = new Append(info);
    Napi::Promise promise = work->promise();
    work->Queue();
    return promise;
}

} // namespace

Napi::Object files_module(Napi::Env env)
{
    Napi::Object module = Napi::Object::New(env);
    const struct {
        const char *name;
        Napi::Value (*function)(const Info &);
    } functions[] = {
        {"openBeneath", open_beneath},
        {"makeFolder", make_folder},
        {"unlink", unlink_name},
        {"rename", rename_name},
        {"link", link_name},
        {"symlink", make_symlink},
        {"mknod", make_node},
        {"stat", stat_name},
        {"readlink", read_link},
        {"chown", change_owner},
        {"chmod", change_mode},
        {"utimes", set_times},
        {"setXattr", set_xattr},
        {"getXattr", get_xattr},
        {"listXattr", list_xattr},
        {"zero", zero_range},
        {"extend", extend},
        {"seekData", seek_data},
        {"seekHole", seek_hole},
        {"syncfs", sync_file_system},
        {"copy", copy_data},
        {"append", append},
    };
    for (const auto &[name, function] : functions)
        module.Set(name, Napi::Function::New(env, function, name));
    return module;
}

} // namespace nts
