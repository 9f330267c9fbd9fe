/* A program that notices when its code is changed: a long run of additions whose sum must be right. As long as a TLS library, so that
   every offset of a function there is one of an instruction here. Ends with 1 at the first wrong sum. */
#include <stdio.h>
#include <time.h>

static unsigned long additions(void) {
    unsigned long sum = 0;
    __asm__ volatile(".rept 200000\n\tadd $1, %0\n\t.endr" : "+r"(sum));
    return sum;
}

int main(void) {
    struct timespec pause = {0, 5000000};
    for (;;) {
        unsigned long sum = additions();
        if (sum != 200000) {
            printf("the sum is %lu\n", sum);
            return 1;
        }
        nanosleep(&pause, NULL);
    }
}
