//go:build !unix

package view

import "os"

// terminalWidth knows no terminals here: text is written as into a file.
func terminalWidth(*os.File) (int, bool) { return 0, false }
