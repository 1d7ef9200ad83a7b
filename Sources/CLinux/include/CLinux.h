// CLinux: the few Linux calls and macros that Swift's Glibc module lacks. One-line shims only.
#ifndef OUTRIGGER_CLINUX_H
#define OUTRIGGER_CLINUX_H

#include <sys/epoll.h>

#endif
