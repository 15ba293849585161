/* A service of a few lines: it knows PORT, and misbehaves as MODE says. GREETING is its answer, in the environment or
   compiled in. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef GREETING
#define GREETING "hello"
#endif

static void leave(int signal) { (void)signal; _exit(0); }
static void leave_badly(int signal) { (void)signal; _exit(5); }
static void stay(int signal) { (void)signal; }

static void reply(int client, const char *status, const char *body) {
    char answer[512];
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                          status, strlen(body), body);
    if (write(client, answer, length) < 0) perror("write");
}

int main(void) {
    const char *mode = getenv("MODE") ? getenv("MODE") : "";
    const char *greeting = getenv("GREETING") ? getenv("GREETING") : GREETING;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("started as %d, mode `%s`\n", (int)getpid(), mode);
    if (!strcmp(mode, "exit")) return 3;
    if (!strcmp(mode, "deaf")) for (;;) pause();
    if (!strcmp(mode, "stubborn")) signal(SIGTERM, SIG_IGN);
    if (!strcmp(mode, "polite") || !strcmp(mode, "clinging")) signal(SIGTERM, leave);
    if (!strcmp(mode, "rude")) signal(SIGTERM, leave_badly);
    if (!strcmp(mode, "numb")) signal(SIGTERM, stay);
    if (!strcmp(mode, "grandchild")) {
        pid_t child = fork();
        if (child == 0) { setsid(); for (;;) pause(); }
        printf("grandchild %d\n", (int)child);
    }
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(getenv("PORT")))};
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 128)) {
        perror("listen");
        return 1;
    }
    if (!strcmp(mode, "mute")) for (;;) pause();
    for (;;) {
        char request[4096] = {0}, path[256] = {0};
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        if (!strcmp(mode, "crash")) return 4;
        if (read(client, request, sizeof request - 1) > 0) {
            sscanf(request, "%*s %255s", path);
            if (!strcmp(mode, "500")) reply(client, "500 Internal Server Error", "");
            else {
                if (strcmp(path, "/live")) printf("asked %s\n", path);
                reply(client, "200 OK", greeting);
            }
        }
        if (strcmp(mode, "clinging")) shutdown(client, SHUT_WR);
        while (read(client, request, sizeof request) > 0) {}
        close(client);
        if (!strcmp(mode, "brief")) return 4;
    }
}
