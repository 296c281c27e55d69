// SPDX-License-Identifier: Apache-2.0
// What scripts/bench compares with: the least that a server in user space can do for the same work. One epoll loop, no
// HTTP beyond GET (subscribe) and POST (publish the body), one send() for each subscriber and event.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\n:\n";
static const char done[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
static int *subscribers, count, capacity;

static void subscribe(int fd) {
    if (count == capacity) {
        capacity = capacity ? 2 * capacity : 1024;
        subscribers = realloc(subscribers, sizeof(int) * capacity);
    }
    subscribers[count++] = fd;
    send(fd, head, sizeof head - 1, MSG_NOSIGNAL);
}

static void leave(int fd) {
    for (int i = 0; i < count; i++)
        if (subscribers[i] == fd) {
            subscribers[i] = subscribers[--count];
            break;
        }
    close(fd);
}

// The requests of one read; a publisher that cuts one in two is not served.
static void handle(int fd, char *in) {
    static char out[70000];
    while (*in) {
        char *body = strstr(in, "\r\n\r\n");
        if (!body) return;
        body += 4;
        if (!strncmp(in, "GET", 3)) {
            subscribe(fd);
            in = body;
            continue;
        }
        char *length = strcasestr(in, "content-length:");
        int bytes = length ? atoi(length + 15) : 0;
        int size = sprintf(out, "id: 1763720000000-0\ndata: %.*s\n\n", bytes, body);
        for (int i = 0; i < count; i++) send(subscribers[i], out, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        send(fd, done, sizeof done - 1, MSG_NOSIGNAL);
        in = body + bytes;
    }
}

int main(int argc, char **argv) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 8090),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) return perror("floor"), 1;
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[512];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int client;
                while ((client = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    event.data.fd = client;
                    epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event);
                }
                continue;
            }
            static char in[65536];
            ssize_t bytes = recv(fd, in, sizeof in - 1, 0);
            if (bytes <= 0) {
                leave(fd);
                continue;
            }
            in[bytes] = 0;
            handle(fd, in);
        }
    }
}
