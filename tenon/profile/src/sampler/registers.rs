//! The registers of an interrupted thread, as the kernel hands them to a signal handler.

use framehop::UnwindRegsNative;
use libc::ucontext_t;

/// Program counter, stack pointer, and what unwinding starts with.
#[cfg(target_arch = "x86_64")]
pub(super) fn of(context: &ucontext_t) -> (u64, u64, UnwindRegsNative) {
    let [pc, sp, bp] = [libc::REG_RIP, libc::REG_RSP, libc::REG_RBP].map(|register| {
        let registers = &context.uc_mcontext.gregs;
        let index = usize::try_from(register).unwrap_or(usize::MAX);
        registers
            .get(index)
            .map_or(0, |value| value.cast_unsigned())
    });
    (pc, sp, UnwindRegsNative::new(pc, sp, bp))
}

/// Program counter, stack pointer, and what unwinding starts with.
#[cfg(target_arch = "aarch64")]
pub(super) fn of(context: &ucontext_t) -> (u64, u64, UnwindRegsNative) {
    use framehop::aarch64::PtrAuthMask;
    let machine = &context.uc_mcontext;
    let [fp, lr] = [29, 30].map(|index: usize| machine.regs.get(index).copied().unwrap_or(0));
    // User space has 48 bits of address at most; what lies above is the signature of the pointer.
    let mask = PtrAuthMask::from_max_known_address((1 << 48) - 1);
    let registers = UnwindRegsNative::new_with_ptr_auth_mask(mask, lr, machine.sp, fp);
    (machine.pc, machine.sp, registers)
}
