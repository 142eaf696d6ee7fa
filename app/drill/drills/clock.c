/* Preloaded before libfaketime 0.9.10, which does not know of two waits.
 *
 * C11's cnd_timedwait, which librdkafka waits with: libfaketime moves the time at which it is to end, but not the wait, so
 * that it would last as long as the clock is off. POSIX's wait is known to it. And clock_nanosleep up to a time of the
 * monotonic clock, which Python sleeps with: it is refused where that clock is not moved.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until) {
    int failed = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);
    return failed == 0 ? thrd_success : failed == ETIMEDOUT ? thrd_timedout : thrd_error;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left) {
    return syscall(SYS_clock_nanosleep, clock, flags, wanted, left) == 0 ? 0 : errno;
}
