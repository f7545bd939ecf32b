// Reads a file in four goroutines.
package main

import (
	"os"
	"sync"
)

func main() {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			f, err := os.Open("/proc/self/exe")
			if err != nil {
				panic(err)
			}
			defer f.Close()
			b := make([]byte, 100)
			for range 100 {
				if _, err := f.Read(b); err != nil {
					panic(err)
				}
			}
			if _, err := f.ReadAt(b, 1000); err != nil {
				panic(err)
			}
		})
	}
	wg.Wait()
}
