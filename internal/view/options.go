package view

import "os"

// Options say how text is laid out. The zero value is for pipes and files:
// nothing is shortened, nothing is coloured.
type Options struct {
	// Width is the number of columns to fit text into, 0 for any.
	Width int
	Color bool
	// Rows is the number of rows that a table shows at most, 0 for all.
	Rows int
	// Sort is the column to sort by, "" for the view's own order.
	Sort string
	// Histogram asks for distributions as blocks of text.
	Histogram bool
}

// terminalRows is how many rows of a table a terminal gets: more push the first
// ones, which matter most, off the screen.
const terminalRows = 40

// For gives the options that suit f: width, colour and few rows on a terminal,
// the zero value elsewhere. NO_COLOR (no-color.org) and TERM=dumb turn colour off.
func For(f *os.File) Options {
	width, ok := terminalWidth(f)
	if !ok {
		return Options{}
	}
	return Options{
		Width: width,
		Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		Rows:  terminalRows,
	}
}

const (
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	plain = "\x1b[0m"
)

// paint wraps s in a style.
func (o Options) paint(style, s string) string {
	if !o.Color || s == "" {
		return s
	}
	return style + s + plain
}

// Heading is s as a heading.
func (o Options) Heading(s string) string { return o.paint(bold, s) }

// Note is s as a remark.
func (o Options) Note(s string) string { return o.paint(dim, s) }
