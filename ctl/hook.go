package ctl

import (
	"fmt"

	"lbctl/l4"
)

// setHook says where the program is to sit, in the words of a configuration.
func setHook(_ *l4.Options, hook string) error {
	switch hook {
	case "", "auto", "native":
		return nil // what l4.Open does
	}
	return fmt.Errorf("hook %q: the l4 plane attaches in native mode only so far", hook)
}
