/*
 * The cpu test as the documentation of sysbench 0.4.12 describes it: trial division in 64-bit integers.
 * Prints events per second. Usage: trial_division MAX_PRIME EVENTS
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 1;
    unsigned long long max_prime = strtoull(argv[1], NULL, 10);
    unsigned long events = strtoul(argv[2], NULL, 10);
    volatile unsigned long long primes;
    double start = now();

    for (unsigned long event = 0; event < events; event++) {
        unsigned long long found = 0;
        for (unsigned long long c = 3; c < max_prime; c++) {
            unsigned long long last = sqrt((double)c), l;
            for (l = 2; l <= last; l++)
                if (c % l == 0)
                    break;
            if (l > last)
                found++;
        }
        primes = found;
    }
    (void)primes;
    printf("%f\n", events / (now() - start));
    return 0;
}
