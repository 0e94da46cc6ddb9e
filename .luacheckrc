std = "luajit"
globals = { "ngx", "ndk" }
max_line_length = 100
exclude_files = { "build" }
