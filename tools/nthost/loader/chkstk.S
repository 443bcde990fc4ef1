/*
 * __chkstk: compilers for Windows call it, with the frame's size in rax, before they move rsp by a
 * page or more. It touches the pages in order and keeps every register but r10 and r11.
 */
    .text
    .globl nt_chkstk
    .hidden nt_chkstk
    .type nt_chkstk, @function
nt_chkstk:
    .cfi_startproc
    endbr64
    leaq 8(%rsp), %r10
    movq %rax, %r11
1:  cmpq $4096, %r11
    jb 2f
    subq $4096, %r10
    testb $0, (%r10)
    subq $4096, %r11
    jmp 1b
2:  subq %r11, %r10
    testb $0, (%r10)
    ret
    .cfi_endproc
    .size nt_chkstk, . - nt_chkstk
    .section .note.GNU-stack, "", @progbits
