package mem

import (
	"context"
	"fmt"
	"sync"
)

// A Pool holds as many runners as there are possible CPUs.
type Pool struct {
	all []*Runner

	mu    sync.Mutex
	freed sync.Cond
	free  []bool // by CPU
}

// anyCPU asks for whatever runner is free.
const anyCPU = -1

// NewPool makes n runners, numbered from 0.
func NewPool(n int) (*Pool, error) {
	p := &Pool{}
	p.freed.L = &p.mu
	for cpu := range n {
		r, err := NewRunner(cpu)
		if err != nil {
			p.Close()
			return nil, err
		}
		p.all = append(p.all, r)
		p.free = append(p.free, true)
	}
	return p, nil
}

// Acquire takes a runner, and waits while none is free.
func (p *Pool) Acquire(ctx context.Context) (*Runner, error) { return p.acquire(ctx, anyCPU) }

// AcquireCPU takes the runner of that number, and waits until it is free.
func (p *Pool) AcquireCPU(ctx context.Context, cpu int) (*Runner, error) { return p.acquire(ctx, cpu) }

func (p *Pool) acquire(ctx context.Context, cpu int) (*Runner, error) {
	if cpu < anyCPU || cpu >= len(p.all) {
		return nil, fmt.Errorf("there is no runner %d: there are %d", cpu, len(p.all))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.take(cpu); r != nil {
		return r, nil
	}
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.freed.Broadcast()
	})
	defer stop()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p.freed.Wait()
		if r := p.take(cpu); r != nil {
			return r, nil
		}
	}
}

func (p *Pool) take(cpu int) *Runner {
	for i, free := range p.free {
		if free && (cpu == anyCPU || cpu == i) {
			p.free[i] = false
			return p.all[i]
		}
	}
	return nil
}

// Release gives a runner back, with an empty Env.
func (p *Pool) Release(r *Runner) {
	r.Env = Env{}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free[r.CPU] = true
	// Broadcast and not Signal: the one that wakes may want another CPU.
	p.freed.Broadcast()
}

// Size is the number of runners, in use or not.
func (p *Pool) Size() int { return len(p.all) }

// Close frees every runner. None may be in use.
func (p *Pool) Close() error {
	var first error
	for _, r := range p.all {
		if err := r.Close(); err != nil && first == nil {
			first = err
		}
	}
	p.all, p.free = nil, nil
	return first
}
