package verify

import (
	"github.com/cilium/ebpf/asm"

	"github.com/skep-bpf/skep/internal/abi"
)

// regSet is a bit per register.
type regSet uint16

const (
	callerSaved regSet = 1<<6 - 1         // R0 to R5
	arguments   regSet = callerSaved &^ 1 // R1 to R5
	calleeSaved regSet = 1<<10 - 1<<6     // R6 to R9
	allRegs     regSet = 1<<10 - 1        // without R10, which never changes
)

// liveRegisters finds for each instruction the registers whose value some path
// from there reads. What is not live need not agree when states are compared.
func (v *verifier) liveRegisters() {
	v.live = make([]regSet, len(v.p.Insns))
	for changed := true; changed; {
		changed = false
		for i := len(v.p.Insns) - 1; i >= 0; i-- {
			if v.second[i] {
				continue
			}
			var out regSet
			to, n := v.next(i)
			for _, t := range to[:n] {
				out |= v.live[t]
			}
			uses, defines := v.registers(i)
			if live := uses | out&^defines; live != v.live[i] {
				v.live[i] = live
				changed = true
			}
		}
	}
}

// registers are those that an instruction reads and those that it writes.
func (v *verifier) registers(i int) (uses, defines regSet) {
	in := v.p.Insns[i]
	dst, src := regSet(1)<<in.Dst&allRegs, regSet(1)<<in.Src&allRegs
	switch classOf(in) {
	case asm.LdClass:
		return 0, dst
	case asm.LdXClass:
		return src, dst
	case asm.StClass:
		return dst, 0
	case asm.StXClass:
		uses = dst | src
		if asm.Mode(in.Op&modeMask) == asm.AtomicMode {
			switch {
			case in.Imm == atomicCmpxchg:
				return uses | 1, 1
			case in.Imm&atomicFetch != 0:
				return uses, src
			}
		}
		return uses, 0
	case asm.ALUClass, asm.ALU64Class:
		switch code := in.Op & codeMask; {
		case code == aluNeg || code == aluSwap:
			return dst, dst
		case code == aluMov && fromRegister(in):
			return src, dst
		case code == aluMov:
			return 0, dst
		case fromRegister(in):
			return dst | src, dst
		}
		return dst, dst
	}
	switch {
	case in.Op == opExit:
		return 1, 0
	case in.Op == opJa || in.Op == opJa32:
		return 0, 0
	case isLocalCall(in):
		return v.live[v.callee(i)] & arguments, callerSaved
	case in.Op == opCall && in.Src == 0:
		if h := abi.HelperByID(asm.BuiltinFunc(in.Imm)); h != nil {
			n := 0
			for n < len(h.Args) && h.Args[n] != abi.ArgNone {
				n++
			}
			return (1<<(n+1) - 1) & arguments, callerSaved
		}
		return arguments, callerSaved
	case in.Op == opCall:
		return arguments, callerSaved
	case fromRegister(in):
		return dst | src, 0
	}
	return dst, 0
}

// unitSet is a bit per four bytes of a stack frame, the first below the frame
// pointer.
type unitSet [2]uint64

const unitSize = 4

var allUnits = unitSet{^uint64(0), ^uint64(0)}

// units are those that the bytes low to high-1 touch, counted down from the
// frame pointer.
func units(low, high int) unitSet {
	var s unitSet
	for u := low / unitSize; u < (high+unitSize-1)/unitSize; u++ {
		s[u/64] |= 1 << (u % 64)
	}
	return s
}

func (s unitSet) or(o unitSet) unitSet     { return unitSet{s[0] | o[0], s[1] | o[1]} }
func (s unitSet) andNot(o unitSet) unitSet { return unitSet{s[0] &^ o[0], s[1] &^ o[1]} }

func (s unitSet) and(o unitSet) unitSet { return unitSet{s[0] & o[0], s[1] & o[1]} }
func (s unitSet) empty() bool           { return s[0]|s[1] == 0 }

// has reports whether byte i below the frame pointer is in the set.
func (s *unitSet) has(i int) bool { u := i / unitSize; return s[u/64]&(1<<(u%64)) != 0 }
