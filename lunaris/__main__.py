from lunaris.cli import main

raise SystemExit(main())
