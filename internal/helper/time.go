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

// ktimeGetCoarseNs is the time of the last tick.
func ktimeGetCoarseNs(c *Call, _, _, _, _, _ uint64) uint64 {
	if clock := c.Runner.Env.Clock; clock != nil {
		return clock.Monotonic()
	}
	return coarse()
}

// ktimeGetTaiNs is the time since 1970, which goes on without leaps. A clock that
// replaces the system's has no such time: it gives that since boot.
func ktimeGetTaiNs(c *Call, _, _, _, _, _ uint64) uint64 {
	if clock := c.Runner.Env.Clock; clock != nil {
		return clock.Boot()
	}
	return tai()
}

// jiffiesAtBoot is where jiffies start: five minutes before the low 32 bits wrap
// (INITIAL_JIFFIES in include/linux/jiffies.h).
func jiffiesAtBoot(perSecond uint64) uint64 { return uint64(-uint32(300 * perSecond)) }

// jiffies64 counts ticks. The kernel starts to count a little after the clock does,
// when it is not known outside, so this is ahead of it by less than a second, and
// always by as much.
func jiffies64(c *Call, _, _, _, _, _ uint64) uint64 {
	perSecond := ticksPerSecond()
	return jiffiesAtBoot(perSecond) + ktimeGetNs(c, 0, 0, 0, 0, 0)/(1e9/perSecond)
}

func getPrandomU32(c *Call, _, _, _, _, _ uint64) uint64 {
	if random := c.Runner.Env.Random; random != nil {
		return uint64(random())
	}
	return uint64(rand.Uint32())
}
