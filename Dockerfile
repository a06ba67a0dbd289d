# The image holds one static binary, its scenarios and nothing else; `make build` comes first.
FROM scratch
COPY build/lbctl /lbctl
COPY scenarios /scenarios
ENV PATH=/ HOME=/ TMPDIR=/run
ENTRYPOINT ["/lbctl"]
CMD ["up", "--foreground", "/scenarios/l4-vs-l7.yaml"]
