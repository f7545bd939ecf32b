package nullcalls

import (
	"bytes"
	"os/exec"
	"testing"
	"time"
)

func TestProgram(t *testing.T) {
	for _, calls := range []uint32{0, 1, 100_000} {
		p, err := New(calls)
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(p.Path()).Output()
		if err != nil {
			t.Fatal(err)
		}
		took, err := Took(bytes.NewReader(out))
		if err != nil || took < time.Duration(calls)*10 || took > 10*time.Second {
			t.Errorf("%d calls took %v, %v", calls, took, err)
		}
		p.Close()
	}
	f, err := diskFile(image(3))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if out, err := exec.Command((&Program{f}).Path()).Output(); err != nil || len(out) != 32 {
		t.Errorf("from a disk: %q, %v", out, err)
	}
	if _, err := Took(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("a short output gives a time")
	}
}
