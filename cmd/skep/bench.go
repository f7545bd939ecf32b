package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/skep-bpf/skep/bench/engine"
	"github.com/skep-bpf/skep/bench/hooks"
	"github.com/skep-bpf/skep/internal/view"
)

type benchCmd struct {
	Suite string `required:"" enum:"engine,hooks" help:"What to measure: ${enum}."`
	JSON  bool   `name:"json" help:"Print JSON lines."`
}

// A suite is one package below bench.
type suite struct {
	columns []view.Column
	run     func(ctx context.Context, report func(line any, row ...view.Cell)) error
}

var suites = map[string]suite{
	"hooks": {
		columns: []view.Column{{Name: "NAME"}, {Name: "BASE NS", Right: true}, {Name: "NS", Right: true}, {Name: "ADDED NS", Right: true}, {Name: "RATIO", Right: true}, {Name: "NOT MEASURED"}},
		run: func(ctx context.Context, report func(any, ...view.Cell)) error {
			return hooks.Run(ctx, func(r hooks.Row) {
				report(r, view.Text(r.Name), float(r.BaseNS), float(r.NS), float(r.AddedNS), float(r.Ratio), view.Text(r.Skipped))
			})
		},
	},
	"engine": {
		columns: []view.Column{{Name: "NAME"}, {Name: "FAMILY"}, {Name: "ENGINE"}, {Name: "NS", Right: true}, {Name: "INSNS", Right: true}, {Name: "EXECUTED", Right: true}, {Name: "NS/INSN", Right: true}},
		run: func(ctx context.Context, report func(any, ...view.Cell)) error {
			return engine.Run(ctx, func(r engine.Row) {
				report(r, view.Text(r.Name), view.Text(r.Family), view.Text(r.Engine), float(r.NS),
					view.Number(uint64(r.Insns)), view.Number(r.InsnsExecuted), float(r.NS/float64(max(r.InsnsExecuted, 1))))
			})
		},
	},
}

func float(v float64) view.Cell { return view.Quantity(v, fmt.Sprintf("%.2f", v)) }

func (b *benchCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := suites[b.Suite]
	if b.JSON {
		lines := newJSONLines(os.Stdout)
		var failed error
		err := s.run(ctx, func(line any, _ ...view.Cell) {
			if failed == nil {
				failed = lines.encode(line)
			}
		})
		if err != nil {
			return err
		}
		return failed
	}
	table := view.Table{Columns: s.columns}
	if err := s.run(ctx, func(_ any, row ...view.Cell) { table.Rows = append(table.Rows, row) }); err != nil {
		return err
	}
	return table.Write(os.Stdout, view.For(os.Stdout))
}
