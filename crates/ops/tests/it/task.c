/* A time service of a few lines: it listens on PORT, and on ALSO if that is set, and leaves on SIGTERM once nothing has come
   for a while and all are answered. MODE=exit ends it at its start with a word on its output. */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t told;

static void leave(int signal) {
    (void)signal;
    told = 1;
}

static int listening(const char *port) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 128)) {
        perror("listen");
        exit(1);
    }
    return listener;
}

static void serve(int client) {
    char request[4096], answer[256];
    if (read(client, request, sizeof request) > 0) {
        int length = snprintf(answer, sizeof answer,
                              "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n%ld", (long)time(NULL));
        if (write(client, answer, length) < 0) perror("write");
    }
    shutdown(client, SHUT_WR);
    while (read(client, request, sizeof request) > 0) {}
}

int main(void) {
    const char *mode = getenv("MODE") ? getenv("MODE") : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("started, mode `%s`\n", mode);
    if (!strcmp(mode, "exit")) {
        printf("SIGNING_KEY is not set\n");
        return 3;
    }
    struct sigaction action = {.sa_handler = leave};
    sigaction(SIGTERM, &action, NULL);
    /* A descriptor below 0 is never ready. */
    struct pollfd waiting[2] = {{.fd = listening(getenv("PORT")), .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    if (getenv("ALSO")) waiting[1].fd = listening(getenv("ALSO"));
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
        int ready = poll(waiting, 2, 300);
        /* What was sent here a moment before the balancer let go is answered too. */
        if (ready == 0 && told) break;
        if (ready <= 0) continue;
        int client = accept(waiting[waiting[0].revents ? 0 : 1].fd, NULL, NULL);
        if (client < 0) continue;
        /* A process each: a balancer that is slow to send or to close keeps nobody else waiting. */
        pid_t child = fork();
        if (child <= 0) serve(client);
        if (child == 0) _exit(0);
        close(client);
    }
    while (wait(NULL) > 0) {}
    return 0;
}
