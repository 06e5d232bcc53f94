"""What Prometheus is told at /metrics of the admin listener (U-15): names `ocpihub_<noun>_<unit>`, few values of each label."""
