// Package e2e holds tests that drive the lbctl binary as a user would: whole
// labs, real traffic, kills. They need root and clean up after themselves.
package e2e
