#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>

// accept4(2) and pthread_setname_np(3): glibc declares them for GNU sources alone. Their headers belong to Swift's own
// module of glibc and must not be included here too.
extern int holdfast_accept4(int descriptor, void *address, void *length, int flags) __asm__("accept4");
extern int holdfast_set_timer_slack(int option, unsigned long nanoseconds) __asm__("prctl");
extern int holdfast_name_thread(unsigned long thread, const char *name) __asm__("pthread_setname_np");
