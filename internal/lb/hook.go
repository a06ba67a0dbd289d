package lb

// Hook is where the L4 plane meets the packets that come in by an interface.
type Hook string

// The hooks.
const (
	HookAuto    Hook = "auto"    // what suits the interface best, of what works there
	HookNative  Hook = "native"  // XDP in the interface's driver, before the kernel has made a buffer
	HookGeneric Hook = "generic" // XDP in the network stack, where a driver has none of its own
	HookTCX     Hook = "tcx"     // the first step of traffic control, with checksum and segmentation offload
)

// Hooks are all but auto.
var Hooks = []Hook{HookNative, HookGeneric, HookTCX}

// HookChoice is the hook that an interface has got, and why.
type HookChoice struct {
	Interface string `json:"interface"`
	Hook      Hook   `json:"hook"`
	Reason    string `json:"reason"` // one sentence
}
