//! A command's arguments, wherever they are kept.

/// The arguments of one command, its name first. Nothing is copied to make one: slices, arrays and parsed
/// requests are `Args`, and so is any type of the caller's that can say what its n-th argument is.
pub trait Args {
    /// How many arguments there are, the name included.
    fn count(&self) -> usize;

    /// The argument at `index`; `None` from [`Args::count`] on, and never before.
    fn arg(&self, index: usize) -> Option<&[u8]>;
}

impl<T: AsRef<[u8]>> Args for [T] {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn arg(&self, index: usize) -> Option<&[u8]> {
        self.get(index).map(AsRef::as_ref)
    }
}

impl<T: AsRef<[u8]>, const N: usize> Args for [T; N] {
    #[inline]
    fn count(&self) -> usize {
        N
    }

    #[inline]
    fn arg(&self, index: usize) -> Option<&[u8]> {
        self.get(index).map(AsRef::as_ref)
    }
}

impl<A: Args + ?Sized> Args for &A {
    #[inline]
    fn count(&self) -> usize {
        A::count(self)
    }

    #[inline]
    fn arg(&self, index: usize) -> Option<&[u8]> {
        A::arg(self, index)
    }
}
