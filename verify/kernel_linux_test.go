package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/skep-bpf/skep/internal/image"
)

// A kernelVerdict is what the running kernel says to the very same slots.
type kernelVerdict struct {
	accepted  bool
	reason    string // the last line of its log that says something
	log       string
	processed int
	ns        int
}

var (
	processedLine = regexp.MustCompile(`processed (\d+) insns`)
	timeLine      = regexp.MustCompile(`verification time (\d+) usec`)
)

// referenceKernel is the version whose verdicts ours are compared with.
const referenceKernel = "6.18."

// needBPF skips a test where bpf() is not permitted or the kernel is another.
func needBPF(t testing.TB) {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	if release := unix.ByteSliceToString(name.Release[:]); !strings.HasPrefix(release, referenceKernel) {
		t.Skipf("the running kernel is %s; verdicts are compared with those of %sx", release, referenceKernel)
	}
	p := &image.Program{Type: ebpf.SocketFilter, License: "GPL", Insns: []image.Insn{{Op: 0xb7}, {Op: opExit}}}
	if _, err := askKernel(&image.Image{}, p, 1); errors.Is(err, os.ErrPermission) || errors.Is(err, unix.ENOSYS) {
		t.Skipf("bpf() is not permitted here: %v", err)
	}
}

// askKernel puts a program to the running kernel. The error says that it could
// not be asked, not that it refused.
func askKernel(img *image.Image, p *image.Program, logLevel uint32) (k kernelVerdict, err error) {
	var fds []int
	for _, name := range p.Maps {
		m, err := kernelMap(img.Maps[name])
		if err != nil {
			return k, fmt.Errorf("map %s: %w", name, err)
		}
		defer m.Close()
		fds = append(fds, m.FD())
	}
	var code bytes.Buffer
	for i := 0; i < len(p.Insns); i++ {
		in := p.Insns[i]
		if in.Op == opLoadImm64 && (asm.Register(in.Src) == asm.PseudoMapFD || asm.Register(in.Src) == asm.PseudoMapValue) {
			in.Imm = int32(fds[in.Imm])
		}
		code.Write([]byte{in.Op, in.Dst | in.Src<<4})
		binary.Write(&code, binary.LittleEndian, in.Off)
		binary.Write(&code, binary.LittleEndian, in.Imm)
	}
	license := append([]byte(p.License), 0)
	size := 1 << 16
	if logLevel&3 > 0 {
		size = 1 << 26
	}
	log := make([]byte, size)
	attr := struct {
		progType, insnCnt           uint32
		insns, license              uint64
		logLevel, logSize           uint32
		logBuf                      uint64
		kernVersion, progFlags      uint32
		name                        [16]byte
		ifindex, expectedAttachType uint32
		rest                        [64]byte
	}{
		progType: uint32(p.Type), insnCnt: uint32(len(p.Insns)),
		insns: address(code.Bytes()), license: address(license),
		logLevel: logLevel, logSize: uint32(size), logBuf: address(log),
		progFlags: p.Flags, expectedAttachType: uint32(p.AttachType),
	}
	if p.Type == ebpf.XDP && p.AttachType == 0 {
		attr.expectedAttachType = uint32(ebpf.AttachXDP)
	}
	fd, _, errno := uintptr(0), uintptr(0), unix.EAGAIN
	for try := 0; errno == unix.EAGAIN && try < 30; try++ { // a signal came while it verified
		fd, _, errno = unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	}
	runtime.KeepAlive(code)
	runtime.KeepAlive(license)
	k.log = unix.ByteSliceToString(log)
	if m := processedLine.FindStringSubmatch(k.log); m != nil {
		k.processed, _ = strconv.Atoi(m[1])
	}
	if m := timeLine.FindStringSubmatch(k.log); m != nil {
		k.ns, _ = strconv.Atoi(m[1])
		k.ns *= 1000
	}
	if errno == 0 {
		unix.Close(int(fd))
		k.accepted = true
		return k, nil
	}
	for line := range strings.Lines(k.log) {
		line = strings.TrimSpace(line)
		if line != "" && !processedLine.MatchString(line) && !strings.HasPrefix(line, "verification time") && !strings.HasPrefix(line, "stack depth") {
			k.reason = line
		}
	}
	if k.reason == "" {
		return k, errno
	}
	return k, nil
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// kernelMap makes a map as a loader would: filled, and frozen if programs may
// only read it.
func kernelMap(spec *ebpf.MapSpec) (*ebpf.Map, error) {
	s := spec.Copy()
	s.Pinning = ebpf.PinNone
	s.Key, s.Value = nil, nil // types say nothing to these programs
	return ebpf.NewMap(s)
}
