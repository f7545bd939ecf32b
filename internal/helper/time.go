package helper

import "math/rand/v2"

func ktimeGetNs(c *Call, _, _, _, _, _ uint64) uint64 {
	if clock := c.Runner.Env.Clock; clock != nil {
		return clock.Monotonic()
	}
	return monotonic()
}

func ktimeGetBootNs(c *Call, _, _, _, _, _ uint64) uint64 {
	if clock := c.Runner.Env.Clock; clock != nil {
		return clock.Boot()
	}
	return boot()
}

func getPrandomU32(c *Call, _, _, _, _, _ uint64) uint64 {
	if random := c.Runner.Env.Random; random != nil {
		return uint64(random())
	}
	return uint64(rand.Uint32())
}
