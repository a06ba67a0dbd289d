// Package arch holds no code, only the test that keeps the floors of the house
// apart: a package imports lower floors, never its own floor or a higher one,
// and some libraries stay behind their fence.
package arch
