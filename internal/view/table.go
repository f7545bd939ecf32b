package view

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Table is text in columns.
type Table struct {
	Columns []Column
	Rows    [][]Cell // as long as Columns each
}

// A Column says how its cells are laid out.
type Column struct {
	Name string
	// Right aligns to the right, as numbers are.
	Right bool
	// Shorten allows the middle of its cells to be left out where they don't fit.
	Shorten bool
}

// A Cell is what a table shows and what it is sorted by.
type Cell struct {
	Text string
	// Number sorts cells of Right columns, the largest first; others are sorted by
	// Text.
	Number float64
}

// Text is a cell of text, made harmless for terminals.
func Text(s string) Cell { return Cell{Text: Printable(s)} }

// Number is a cell of a number in full.
func Number(n uint64) Cell { return Cell{Text: fmt.Sprint(n), Number: float64(n)} }

// Quantity is a cell of a number that is written in another way.
func Quantity(n float64, text string) Cell { return Cell{Text: text, Number: n} }

// shortest is the width that shortened columns keep.
const shortest = 12

// gap is between columns.
const gap = "  "

// SortBy sorts rows by the column of that name, in any case of letters; equal
// rows keep their order.
func (t *Table) SortBy(name string) error {
	var names []string
	for i, c := range t.Columns {
		if strings.EqualFold(c.Name, name) {
			slices.SortStableFunc(t.Rows, func(a, b []Cell) int {
				if c.Right {
					return cmp.Compare(b[i].Number, a[i].Number)
				}
				return cmp.Compare(a[i].Text, b[i].Text)
			})
			return nil
		}
		names = append(names, strings.ToLower(c.Name))
	}
	return fmt.Errorf("there is no column %q to sort by: use one of %s", name, strings.Join(names, ", "))
}

// Write writes the table: a line of names, a line for each row, and how many
// rows o.Rows left out.
func (t *Table) Write(w io.Writer, o Options) error {
	rows := t.Rows
	if o.Rows > 0 && len(rows) > o.Rows {
		rows = rows[:o.Rows]
	}
	widths := t.widths(rows, o.Width)
	out := bufio.NewWriter(w)
	names := make([]Cell, len(t.Columns))
	for i, c := range t.Columns {
		names[i].Text = c.Name
	}
	fmt.Fprintln(out, o.Heading(t.line(names, widths)))
	for _, row := range rows {
		fmt.Fprintln(out, t.line(row, widths))
	}
	if hidden := len(t.Rows) - len(rows); hidden > 0 {
		fmt.Fprintln(out, o.Note(fmt.Sprintf("… %s more (--rows 0 shows all)", Count(uint64(hidden), "row", "rows"))))
	}
	return out.Flush()
}

// widths gives each column what its longest cell needs, then takes from the
// widest columns that may be shortened until a line fits into limit.
func (t *Table) widths(rows [][]Cell, limit int) []int {
	widths := make([]int, len(t.Columns))
	total := len(gap) * max(0, len(widths)-1)
	for i, c := range t.Columns {
		widths[i] = utf8.RuneCountInString(c.Name)
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i].Text))
		}
		total += widths[i]
	}
	for limit > 0 && total > limit {
		widest := -1
		for i, c := range t.Columns {
			if c.Shorten && widths[i] > shortest && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
		total--
	}
	return widths
}

func (t *Table) line(row []Cell, widths []int) string {
	var b strings.Builder
	for i, c := range t.Columns {
		if i > 0 {
			b.WriteString(gap)
		}
		text := shorten(row[i].Text, widths[i])
		if c.Right {
			text = padLeft(text, widths[i])
		} else {
			text = padRight(text, widths[i])
		}
		b.WriteString(text)
	}
	return strings.TrimRight(b.String(), " ")
}

// shorten leaves out the middle of s so that width characters remain: both ends
// of a path say more than its middle.
func shorten(s string, width int) string {
	r := []rune(s)
	if len(r) <= width || width < 1 {
		return s
	}
	head := (width - 1) / 3
	tail := width - 1 - head
	return string(r[:head]) + "…" + string(r[len(r)-tail:])
}
