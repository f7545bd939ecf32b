//go:build race

package scalar

// Nothing here runs concurrently; a sample is enough for the race detector.
func init() { stride = 32 }
